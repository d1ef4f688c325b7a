#pragma once

#include <atomic>

namespace polyak::base {

// One wish to stop, sent against the current: set by any thread, read by the one that works. Never
// unset.
class StopToken {
 public:
  // Relaxed: the wish carries no data; whoever set it publishes its reason under its own lock.
  void RequestStop() { requested_.store(true, std::memory_order_relaxed); }
  bool stop_requested() const { return requested_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> requested_ = false;
};

}  // namespace polyak::base
