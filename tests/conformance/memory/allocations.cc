#include "tests/conformance/memory/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

// glibc's own functions behind the names that this file takes over.
extern "C" {
void* __libc_malloc(size_t size);                      // NOLINT(bugprone-reserved-identifier)
void* __libc_calloc(size_t count, size_t size);        // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void* pointer, size_t size);      // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(size_t alignment, size_t size);  // NOLINT(bugprone-reserved-identifier)
void __libc_free(void* pointer);                       // NOLINT(bugprone-reserved-identifier)
}

namespace polyak::conformance {
namespace {

std::atomic<size_t> allocated = 0;
std::atomic<size_t> peak = 0;

void* Count(void* pointer) {
  if (pointer != nullptr) {
    const size_t now = allocated += malloc_usable_size(pointer);
    size_t before = peak;
    while (now > before && !peak.compare_exchange_weak(before, now)) {
    }
  }
  return pointer;
}

void Uncount(void* pointer) {
  if (pointer != nullptr) {
    allocated -= malloc_usable_size(pointer);
  }
}

}  // namespace

size_t AllocatedBytes() { return allocated; }
size_t PeakBytes() { return peak; }
void ResetPeak() { peak = allocated.load(); }

}  // namespace polyak::conformance

extern "C" {

void* malloc(size_t size) { return polyak::conformance::Count(__libc_malloc(size)); }

void* calloc(size_t count, size_t size) {
  return polyak::conformance::Count(__libc_calloc(count, size));
}

void* realloc(void* pointer, size_t size) {
  polyak::conformance::Uncount(pointer);
  void* const moved = __libc_realloc(pointer, size);
  if (moved == nullptr && size > 0) {
    polyak::conformance::Count(pointer);  // what could not be moved is still there
  }
  return polyak::conformance::Count(moved);
}

void* memalign(size_t alignment, size_t size) {
  return polyak::conformance::Count(__libc_memalign(alignment, size));
}

void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void** pointer, size_t alignment, size_t size) {
  void* const aligned = memalign(alignment, size);
  if (aligned == nullptr) {
    return ENOMEM;
  }
  *pointer = aligned;
  return 0;
}

void free(void* pointer) {
  polyak::conformance::Uncount(pointer);
  __libc_free(pointer);
}

}  // extern "C"
