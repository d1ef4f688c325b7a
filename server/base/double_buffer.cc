#include "server/base/double_buffer.h"

#include <sys/mman.h>

#include <cmath>
#include <cstddef>
#include <new>

namespace polyak::base {
namespace {

constexpr size_t kLargePage = size_t{2} << 20;
constexpr size_t kCacheLine = 64;

}  // namespace

DoubleBuffer AllocateDoubles(int64_t count) {
  const size_t bytes = static_cast<size_t>(count) * sizeof(double);
  const bool large = bytes >= kLargePage;
  const size_t alignment = large ? kLargePage : kCacheLine;
  void* const memory =
      std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr && bytes > 0) {
    throw std::bad_alloc();
  }
  if (large) {
    madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: nothing depends on it
  }
  return DoubleBuffer(static_cast<double*>(memory));
}

double AllocatedBytes(double count) {
  const double bytes = count * sizeof(double);
  const double alignment = bytes >= double{kLargePage} ? double{kLargePage} : double{kCacheLine};
  return std::ceil(bytes / alignment) * alignment;
}

}  // namespace polyak::base
