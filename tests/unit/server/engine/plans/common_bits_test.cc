#include "server/engine/plans/common_bits.h"

#include <array>

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

}  // namespace
}  // namespace polyak::engine
