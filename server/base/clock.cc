#include "server/base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace polyak::base {

double SystemClock::MonotonicSeconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

absl::Time SystemClock::WallTime() const { return absl::Now(); }

void SystemClock::Sleep(absl::Duration duration) const { absl::SleepFor(duration); }

}  // namespace polyak::base
