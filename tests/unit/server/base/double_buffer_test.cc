#include "server/base/double_buffer.h"

#include <cstdint>
#include <new>

#include "gtest/gtest.h"

namespace polyak::base {
namespace {

TEST(DoubleBuffer, BeginsAtACacheLineAndHoldsAllItsValues) {
  for (const int64_t count : {1, 7, 8, 1000, 262'143, 262'144, 300'001}) {
    const DoubleBuffer buffer = AllocateDoubles(count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.get()) % 64, 0) << count;
    for (int64_t k = 0; k < count; ++k) {
      buffer[static_cast<size_t>(k)] = static_cast<double>(k);
    }
    EXPECT_EQ(buffer[static_cast<size_t>(count - 1)], static_cast<double>(count - 1));
  }
}

TEST(AllocatedBytes, AreWholeCacheLinesOrLargePages) {
  EXPECT_EQ(AllocatedBytes(0), 0);
  EXPECT_EQ(AllocatedBytes(1), 64);
  EXPECT_EQ(AllocatedBytes(9), 128);
  EXPECT_EQ(AllocatedBytes(262'143), 2'097'152);
  EXPECT_EQ(AllocatedBytes(262'145), 4'194'304);
  EXPECT_GT(AllocatedBytes(1e30), 8e30 * (1 - 1e-15));
}

TEST(DoubleBuffer, OfMoreThanThereIsThrows) {
  EXPECT_THROW(AllocateDoubles(int64_t{1} << 58), std::bad_alloc);
}

}  // namespace
}  // namespace polyak::base
