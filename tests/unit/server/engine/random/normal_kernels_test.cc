#include "server/engine/random/normal_kernels.h"

#include <bit>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/random/normal.h"
#include "server/engine/random/normal_coefficients.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {
namespace {

constexpr int64_t kCount = 4096;

template <typename Compare>
void ForEachVersion(const Compare& compare) {
  int version = 0;
  for (; NormalKernelsVersion(version) != nullptr; ++version) {
    SCOPED_TRACE(NormalKernelsVersion(version)->name);
    compare(*NormalKernelsVersion(version));
  }
  EXPECT_GT(version, 0);
}

uint64_t BitsOf(double value) { return std::bit_cast<uint64_t>(value); }

TEST(NormalKernels, DrawTheUniformNumbersOfTheStream) {
  ForEachVersion([](const NormalKernels& kernels) {
    for (const int64_t seed : {int64_t{0}, int64_t{-5}, int64_t{1} << 40}) {
      // Also where the lower half of the counter overflows, and its upper half is used.
      for (const uint64_t block : {uint64_t{0}, uint64_t{0xFFFFFFFC}, uint64_t{1} << 50}) {
        const RandomStream stream(Seed{seed}, DrawPurpose::kDeepLinearWeights, 7);
        std::vector<double> values(2 * 24);
        kernels.fill_uniform({static_cast<uint32_t>(DrawPurpose::kDeepLinearWeights), 7,
                              static_cast<uint64_t>(seed)},
                             block, 24, values.data());
        for (size_t k = 0; k < values.size(); ++k) {
          ASSERT_EQ(BitsOf(values[k]), BitsOf(stream.Uniform(2 * block + k))) << k;
        }
      }
    }
  });
}

TEST(NormalKernels, HaveTheBitsOfQuantilesOneByOne) {
  std::vector<double> central;
  std::vector<double> outer = {kOutermost, 1 - kOutermost, 0.075 - 1e-12, 0.925 + 1e-12};
  const RandomStream stream(Seed{3}, DrawPurpose::kFeatures);
  for (uint64_t k = 0; k < kCount; ++k) {
    const double p = stream.Uniform(k);
    (p >= 0.075 && p <= 0.925 ? central : outer).push_back(p);
    // As far out as they come, at every scale.
    outer.push_back(0.07 * std::bit_cast<double>(BitsOf(p) - ((k % 32) << 52)) + kOutermost);
    outer.push_back(1 - outer.back());
  }
  central.resize(central.size() / kNormalLanes * kNormalLanes);
  outer.resize(outer.size() / kNormalLanes * kNormalLanes);
  ForEachVersion([&](const NormalKernels& kernels) {
    std::vector<double> values(central.size());
    kernels.central_quantiles(static_cast<int64_t>(central.size()), central.data(), values.data());
    for (size_t k = 0; k < central.size(); ++k) {
      ASSERT_EQ(BitsOf(values[k]), BitsOf(NormalQuantile(central[k]))) << central[k];
    }
    values.resize(outer.size());
    kernels.outer_quantiles(static_cast<int64_t>(outer.size()), outer.data(), values.data());
    for (size_t k = 0; k < outer.size(); ++k) {
      ASSERT_EQ(BitsOf(values[k]), BitsOf(NormalQuantile(outer[k]))) << outer[k];
    }
  });
}

TEST(NormalKernels, FillWhatIsDrawnOneByOne) {
  const RandomStream stream(Seed{11}, DrawPurpose::kHiddenWeights, 2);
  constexpr uint64_t kEnd = ~uint64_t{0};
  for (const uint64_t first :
       {uint64_t{0}, uint64_t{1}, uint64_t{1001}, uint64_t{8'589'934'000}, kEnd - 700}) {
    for (const size_t size :
         {size_t{0}, size_t{1}, size_t{2}, size_t{15}, size_t{512}, size_t{513}, size_t{1500}}) {
      std::vector<double> values(size);
      stream.FillNormal(first, values);
      for (size_t k = 0; k < size; ++k) {
        ASSERT_EQ(BitsOf(values[k]), BitsOf(stream.Normal(first + k))) << first << " + " << k;
      }
    }
  }
}

}  // namespace
}  // namespace polyak::engine
