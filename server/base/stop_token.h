#pragma once

#include <atomic>
#include <exception>
#include <functional>

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

// Whether nobody wants any more what is being computed; empty: somebody always does. Asked by long
// work on the thread that began it.
using StopWish = std::function<bool()>;

// What long work throws that was told to stop and has nothing to return.
class Stopped : public std::exception {
 public:
  const char* what() const noexcept override { return "stopped"; }
};

inline void ThrowIfStopped(const StopWish& stops) {
  if (stops && stops()) {
    throw Stopped();
  }
}

}  // namespace polyak::base
