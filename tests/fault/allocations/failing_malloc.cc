// A library that is loaded before a program's others (LD_PRELOAD), and lets one of its allocations
// fail, whoever asks for it: the program, its libraries or the C library itself.
//
// POLYAK_ALLOCATION_CONTROL names a file that holds an AllocationControl, shared with a test.

#include "tests/fault/allocations/failing_malloc.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>

// The C library's own, under the names that it keeps for this.
// NOLINTBEGIN(bugprone-reserved-identifier): their names
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace {

using polyak::testing_support::AllocationControl;

constinit AllocationControl* control = nullptr;  // null: nothing fails

__attribute__((constructor)) void FindControl() {
  const char* const path = std::getenv("POLYAK_ALLOCATION_CONTROL");
  const int file = path == nullptr ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  void* const memory =
      mmap(nullptr, sizeof(AllocationControl), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  control = memory == MAP_FAILED ? nullptr : static_cast<AllocationControl*>(memory);
}

bool MustFail() {
  if (control == nullptr) {
    return false;
  }
  control->counted.fetch_add(1, std::memory_order_relaxed);
  if (control->left.load(std::memory_order_relaxed) <= 0 || control->left.fetch_sub(1) != 1) {
    return false;
  }
  control->failed.fetch_add(1);
  errno = ENOMEM;
  return true;
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) { return MustFail() ? nullptr : __libc_malloc(size); }

void* calloc(std::size_t count, std::size_t size) {
  return MustFail() ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) {
  return MustFail() ? nullptr : __libc_realloc(memory, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
  return MustFail() ? nullptr : __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  void* const made = memalign(alignment, size);
  if (made == nullptr) {
    return ENOMEM;
  }
  *memory = made;
  return 0;
}

}  // extern "C"
