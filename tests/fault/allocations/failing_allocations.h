#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>

// A program that links this has operator new and delete of its own, which fail when told.

namespace polyak::testing_support {

struct FailurePlan {
  enum class Whose {
    kThisThread,
    kProcess,
  };
  enum class Which {
    kOne,          // the nth alone
    kAllFromThen,  // and everything behind it: memory stays short
  };
  int64_t nth = 1;
  Whose whose = Whose::kProcess;
  Which which = Which::kOne;
};

// While it lives, allocations fail as planned, by std::bad_alloc. One at a time.
class FailingAllocations {
 public:
  explicit FailingAllocations(const FailurePlan& plan);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;

  // Whether the nth allocation has come.
  static bool any_failed();
};

// Counts an allocation; whether it must fail. For allocators that don't use operator new.
bool MustFail() noexcept;

// Sanitizers have an operator new of their own: under them the program ends here, as not run.
inline void SkipUnderSanitizers() {
#ifdef POLYAK_SANITIZED
  constexpr int kNotRun = 77;  // ctest says so, and counts no pass
  std::cout << "not run: a sanitizer's own allocator is in the way of failing allocations\n";
  std::exit(kNotRun);
#endif
}

}  // namespace polyak::testing_support
