#include "server/engine/plans/relu_start.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/plans/relu_networks.h"

namespace polyak::engine {
namespace {

// More than one block, more than one thread's share, none of them whole; more than a word of
// examples.
constexpr int64_t kWidth = 70'001;
constexpr int64_t kExamples = 67;

TEST(ReluStart, IsTheNetworkAtItsStart) {
  const auto instance = DrawnNetwork(kWidth, kExamples, 3);
  Matrix kept(kWidth, kExamples);
  const ReluStart start = StartReluNetwork(*instance, &kept);
  const Matrix z = InitialPreactivations(*instance);
  EXPECT_EQ(kept, z);
  const Matrix active = (z.array() > 0).cast<double>();
  EXPECT_EQ(start.counts, active.transpose() * active);
  for (int64_t r = 0; r < kWidth; r += 997) {
    for (int64_t i = 0; i < kExamples; ++i) {
      ASSERT_EQ(start.mask.Get(r, i), z(r, i) > 0) << r << " " << i;
    }
  }
  const Vector outputs = z.cwiseMax(0.0).transpose() * OutputWeights(*instance) /
                         std::sqrt(static_cast<double>(kWidth));
  // Sums of 70,001 numbers of size 1 / sqrt(m), in another order.
  EXPECT_LE((start.outputs - outputs).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(ReluStart, GivesTheSameBitsEachTime) {
  const auto instance = DrawnNetwork(kWidth, 5, 4);
  const ReluStart first = StartReluNetwork(*instance, nullptr);
  const ReluStart second = StartReluNetwork(*instance, nullptr);
  EXPECT_EQ(first.outputs, second.outputs);
  EXPECT_EQ(first.counts, second.counts);
}

TEST(ReluStart, StopsBetweenTwoPartsOfTheNeurons) {
  const auto instance = DrawnNetwork(kWidth, 2, 4);
  int asked = 0;
  const auto wish = [&asked](int times) { return [&asked, times] { return ++asked > times; }; };
  EXPECT_THROW(StartReluNetwork(*instance, nullptr, wish(1)), base::Stopped);
  EXPECT_EQ(asked, 2);
  asked = 0;
  const Vector none = Vector::Constant(2, -1);
  EXPECT_THROW(
      CollectNearEntries(*instance, nullptr, none, Vector::Constant(2, 1e-6), 1000, wish(1)),
      base::Stopped);
  EXPECT_EQ(asked, 2);
}

TEST(ReluStart, KnowsEveryOutputWeightByItself) {
  const auto instance = DrawnNetwork(100, 2, 3);
  const Vector all = OutputWeights(*instance);
  for (int64_t r = 0; r < 100; ++r) {
    EXPECT_EQ(OutputWeight(*instance, r), all(r));
  }
}

TEST(CollectNearEntries, FindsThoseBetweenTwoDistances) {
  const auto instance = DrawnNetwork(5'000, 4, 3);
  const Matrix z = InitialPreactivations(*instance);
  Vector above(4);
  above << -1, 0.1, 0.2, 5;
  Vector up_to(4);
  up_to << 0.1, 0.2, 100, 5;
  for (const Matrix* kept : {static_cast<const Matrix*>(nullptr), &z}) {
    const auto found = CollectNearEntries(*instance, kept, above, up_to, 20'000);
    ASSERT_TRUE(found.has_value());
    const auto& near = *found;
    ASSERT_EQ(near.size(), 4u);
    for (Eigen::Index i = 0; i < 4; ++i) {
      size_t k = 0;
      for (Eigen::Index r = 0; r < z.rows(); ++r) {
        const double distance = std::abs(z(r, i));
        if (distance > above(i) && distance <= up_to(i)) {
          ASSERT_LT(k, near[i].size());
          EXPECT_EQ(near[i][k].row, static_cast<uint32_t>(r));
          EXPECT_EQ(near[i][k].preactivation, z(r, i));
          ++k;
        }
      }
      EXPECT_EQ(k, near[i].size());
    }
    EXPECT_GT(near[0].size(), 100u);
    EXPECT_TRUE(near[3].empty());
    const auto all = static_cast<int64_t>(near[0].size() + near[1].size() + near[2].size());
    EXPECT_TRUE(CollectNearEntries(*instance, kept, above, up_to, all).has_value());
    EXPECT_FALSE(CollectNearEntries(*instance, kept, above, up_to, all - 1).has_value());
  }
}

}  // namespace
}  // namespace polyak::engine
