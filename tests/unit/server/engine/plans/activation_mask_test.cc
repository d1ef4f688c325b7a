#include "server/engine/plans/activation_mask.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

TEST(ActivationMask, KeepsABitForEachNeuronAndExample) {
  for (const int64_t cols : {1, 7, 8, 9, 63, 64, 65, 130}) {
    ActivationMask mask(5, cols);
    std::vector<int64_t> active;
    for (int64_t i = 0; i < cols; i += 3) {
      mask.Flip(2, i);
      active.push_back(i);
    }
    std::vector<int64_t> seen;
    ForEachActive(mask, 2, [&seen](int64_t i) { seen.push_back(i); });
    EXPECT_EQ(seen, active) << cols;
    for (const int64_t row : {0, 1, 3, 4}) {
      ForEachActive(mask, row, [](int64_t i) { ADD_FAILURE() << i; });
    }
    mask.Flip(2, 0);
    EXPECT_FALSE(mask.Get(2, 0));
  }
}

TEST(ActivationMask, TakesEightColumnsAtOnce) {
  ActivationMask mask(2, 12);
  mask.SetByte(1, 1, 0b1010);
  std::vector<int64_t> seen;
  ForEachActive(mask, 1, [&seen](int64_t i) { seen.push_back(i); });
  EXPECT_THAT(seen, ::testing::ElementsAre(9, 11));
}

}  // namespace
}  // namespace polyak::engine
