#pragma once

#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"

namespace polyak::testing_support {

// A clock that moves only when told, or by a fixed step whenever it is asked the monotonic time.
// Safe from any thread.
class FakeClock : public base::Clock {
 public:
  // seconds_per_look: how far each call of MonotonicSeconds moves the clock after its answer.
  explicit FakeClock(double seconds_per_look = 0) : seconds_per_look_(seconds_per_look) {}

  double MonotonicSeconds() const override {
    const base::MutexLock lock(&mutex_);
    const double now = seconds_;
    seconds_ += seconds_per_look_;
    return now;
  }
  absl::Time WallTime() const override {
    const base::MutexLock lock(&mutex_);
    return absl::UnixEpoch() + absl::Seconds(seconds_);
  }
  // Moves the clock instead.
  void Sleep(absl::Duration duration) const override {
    const base::MutexLock lock(&mutex_);
    seconds_ += absl::ToDoubleSeconds(duration);
  }
  void Advance(absl::Duration duration) {
    const base::MutexLock lock(&mutex_);
    seconds_ += absl::ToDoubleSeconds(duration);
  }

 private:
  mutable base::Mutex mutex_;
  mutable double seconds_ ABSL_GUARDED_BY(mutex_) = 1000;
  const double seconds_per_look_;
};

}  // namespace polyak::testing_support
