#pragma once

#include <atomic>
#include <cstdint>

namespace polyak::testing_support {

// Shared by a test and the program whose allocations fail.
struct AllocationControl {
  std::atomic<int64_t> left;     // until one fails, that one included; 0: none
  std::atomic<int64_t> failed;   // so far
  std::atomic<int64_t> counted;  // so far
};

}  // namespace polyak::testing_support
