#include "server/engine/plans/common_bits.h"

#include <array>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

TEST(CountCommonBits, CountsTheBitsThatAreSetInBoth) {
  const std::array<uint64_t, 3> a = {0xffffffffffffffff, 0x8000000000000001, 0b1011};
  const std::array<uint64_t, 3> b = {0xffffffffffffffff, 0x8000000000000000, 0b0110};
  EXPECT_EQ(CountCommonBits(a.data(), b.data(), 0), 0);
  EXPECT_EQ(CountCommonBits(a.data(), b.data(), 1), 64);
  EXPECT_EQ(CountCommonBits(a.data(), b.data(), 2), 65);
  EXPECT_EQ(CountCommonBits(a.data(), b.data(), 3), 66);
}

TEST(CommonActivations, AreThoseOfEveryTwoExamples) {
  const std::vector<uint64_t> active = {0b1011, 1, 0b0110, 1, 0, 3};
  EXPECT_EQ(CommonActivations(active, 3, 2), (Matrix{{4, 2, 1}, {2, 3, 1}, {1, 1, 2}}));
}

}  // namespace
}  // namespace polyak::engine
