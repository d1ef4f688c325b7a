#pragma once

#include "absl/time/time.h"

namespace polyak::base {

// Time comes in through here, so that tests can set it.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual double MonotonicSeconds() const = 0;            // since some point; never goes back
  virtual absl::Time WallTime() const = 0;                // for people; may jump
  virtual void Sleep(absl::Duration duration) const = 0;  // the calling thread
};

// The machine's clocks.
class SystemClock : public Clock {
 public:
  double MonotonicSeconds() const override;
  absl::Time WallTime() const override;
  void Sleep(absl::Duration duration) const override;
};

}  // namespace polyak::base
