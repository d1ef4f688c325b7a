#include "tests/fault/allocations/failing_allocations.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <new>

namespace polyak::testing_support {
namespace {

// Counted down to the failure; at 0 or below while nothing is planned. What is not fallible costs
// one load.
constinit std::atomic<int64_t> process_left = 0;
constinit thread_local int64_t thread_left = 0;
constinit std::atomic<bool> failed = false;
constinit std::atomic<bool> stays_short = false;
constinit thread_local bool thread_stays_short = false;
FailurePlan::Whose whose = FailurePlan::Whose::kProcess;
FailurePlan::Which which = FailurePlan::Which::kOne;

bool ThreadMustFail() {
  if (thread_stays_short) {
    return true;
  }
  if (thread_left <= 0 || --thread_left > 0) {
    return false;
  }
  failed = true;
  thread_stays_short = which == FailurePlan::Which::kAllFromThen;
  return true;
}

bool ProcessMustFail() {
  if (stays_short) {
    return true;
  }
  if (process_left.load(std::memory_order_relaxed) <= 0 || process_left.fetch_sub(1) != 1) {
    return false;
  }
  failed = true;
  stays_short = which == FailurePlan::Which::kAllFromThen;
  return true;
}

}  // namespace

bool MustFail() noexcept { return ThreadMustFail() || ProcessMustFail(); }

FailingAllocations::FailingAllocations(const FailurePlan& plan) {
  whose = plan.whose;
  which = plan.which;
  failed = false;
  if (whose == FailurePlan::Whose::kThisThread) {
    thread_left = plan.nth;
  } else {
    process_left = plan.nth;
  }
}

FailingAllocations::~FailingAllocations() {
  thread_left = 0;
  process_left = 0;
  thread_stays_short = false;
  stays_short = false;
}

bool FailingAllocations::any_failed() { return failed; }

}  // namespace polyak::testing_support

#ifndef POLYAK_SANITIZED

// The other forms are made of these by the standard library.

void* operator new(std::size_t size) {
  void* const memory =
      polyak::testing_support::MustFail() ? nullptr : std::malloc(std::max<std::size_t>(size, 1));
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  void* const memory =
      polyak::testing_support::MustFail()
          ? nullptr
          : std::aligned_alloc(unit, std::max(size + unit - 1, unit) / unit * unit);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t /*alignment*/) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  std::free(memory);
}

#endif
