#pragma once

#include <atomic>

namespace polyak::base {

// One wish to stop, sent against the current: set by any thread, read by the one that works. Never
// unset.
class StopToken {
 public:
  // Whoever sees the wish sees what was done before it, such as another wish that is its reason.
  void RequestStop() { requested_.store(true, std::memory_order_release); }
  bool stop_requested() const { return requested_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> requested_ = false;
};

}  // namespace polyak::base
