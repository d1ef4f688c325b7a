#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tests/fault/allocations/failing_allocations.h"

namespace polyak::testing_support {

// What became of the steps of a scenario, in memory that a process which dies leaves to its parent.
// Nothing here allocates.
class Steps {
 public:
  enum class Fate { kNotBegun, kBegun, kRefused, kAcknowledged };

  // Does a step, which may be done again after it was refused. Returns whether it was acknowledged.
  //   call: returns a Status.
  template <typename Call>
  bool Do(size_t step, const Call& call) {
    fates_[step] = Fate::kBegun;
    absl::Status status;
    try {
      status = call();
    } catch (const std::bad_alloc&) {
      fates_[step] = Fate::kRefused;
      return false;
    }
    if (!status.ok()) {
      CheckRefusal(step, status);
      fates_[step] = Fate::kRefused;
      return false;
    }
    fates_[step] = Fate::kAcknowledged;
    return true;
  }
  // Where a second try must do what the first one could not for want of memory.
  template <typename Call>
  bool DoAgain(size_t step, const Call& call) {
    return Do(step, call) || Do(step, call);
  }

  bool begun(size_t step) const { return fates_[step] != Fate::kNotBegun; }
  bool acknowledged(size_t step) const { return fates_[step] == Fate::kAcknowledged; }
  // The scenario has found something wrong. The first complaint is kept.
  void Complain(std::string_view what);
  std::string_view complaint() const { return complaint_.data(); }

  bool ended() const { return ended_; }
  bool any_failed() const { return any_failed_; }
  void SetEnd(bool any_failed) {
    any_failed_ = any_failed;
    ended_ = true;
  }

 private:
  // An error that nobody was told to expect, or one without a failed allocation.
  void CheckRefusal(size_t step, const absl::Status& status);

  std::array<std::atomic<Fate>, 64> fates_ = {};
  std::array<char, 512> complaint_ = {};
  std::atomic<bool> ended_ = false;
  std::atomic<bool> any_failed_ = false;
};

// Something that is done with a store, always the same way.
class Scenario {
 public:
  virtual ~Scenario() = default;
  // folder: exists, and is empty.
  virtual void Prepare(const std::string& /*folder*/) {}
  // In which an allocation fails.
  virtual void Run(Steps& steps) = 0;
  // In the same process, when there is memory again.
  virtual void CheckLive(Steps& /*steps*/) {}
  // In another process, whatever became of the first one. Judges by gtest.
  virtual void CheckReopened(const std::string& /*folder*/, const Steps& /*steps*/) {}
};

// Runs a scenario in a child of this process for every n, with the n-th allocation failing, until
// it gets through without a failure; and checks what is left. The same with all allocations from
// the n-th one on. A child that aborts has ended as a
// server may; one that crashes otherwise, or hangs, has not. Prints how many did what.
//   stride: from one n to the next, unless POLYAK_ALLOCATIONS asks for the full count.
void SweepAllocations(std::string_view name, const std::function<std::unique_ptr<Scenario>()>& make,
                      FailurePlan::Whose whose, int64_t stride = 1);

}  // namespace polyak::testing_support
