#include "server/engine/plans/active_sums.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {
namespace {

TEST(ActiveSums, AreThoseOfTheBitsOneByOne) {
  const RandomStream random(Seed{5}, DrawPurpose::kTargets);
  uint64_t position = 0;
  for (const Eigen::Index size : {1, 7, 8, 20, 63, 64, 65, 100, 200}) {
    Vector values(size);
    for (Eigen::Index i = 0; i < size; ++i) {
      values(i) = random.Normal(position++);
    }
    for (const size_t rows : {size_t{1}, size_t{1000}}) {  // bit by bit, and by bytes
      ActiveSums sums;
      sums.Begin(values, rows);
      for (int row = 0; row < 20; ++row) {
        std::vector<uint64_t> words(static_cast<size_t>((size + 63) / 64));
        double expected = 0;
        double magnitude = 0;
        for (Eigen::Index i = 0; i < size; ++i) {
          if (random.Uniform(position++) < 0.5) {
            words[static_cast<size_t>(i / 64)] |= uint64_t{1} << (i % 64);
            expected += values(i);
            magnitude += std::abs(values(i));
          }
        }
        // Two orders of one sum of n terms.
        EXPECT_NEAR(sums.Sum(words), expected, static_cast<double>(size) * 2.3e-16 * magnitude);
      }
    }
  }
}

TEST(ActiveSums, TakeNewValuesEachTime) {
  ActiveSums sums;
  const Vector ones = Vector::Ones(10);
  const Vector twos = Vector::Constant(10, 2);
  const std::vector<uint64_t> words = {0x3FF};
  sums.Begin(ones, 1000);
  EXPECT_EQ(sums.Sum(words), 10);
  sums.Begin(twos, 1000);
  EXPECT_EQ(sums.Sum(words), 20);
  sums.Begin(ones, 1);
  EXPECT_EQ(sums.Sum(words), 10);
}

}  // namespace
}  // namespace polyak::engine
