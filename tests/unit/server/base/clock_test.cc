#include "server/base/clock.h"

#include <chrono>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace polyak::base {
namespace {

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

TEST(SystemClock, MonotonicSecondsAreThoseOfTheSteadyClock) {
  const SystemClock clock;
  const double before = SteadySeconds();
  const double seconds = clock.MonotonicSeconds();
  EXPECT_LE(before, seconds);
  EXPECT_LE(seconds, SteadySeconds());
}

TEST(SystemClock, MonotonicSecondsNeverGoBackAndDoMoveOn) {
  const SystemClock clock;
  const double first = clock.MonotonicSeconds();
  double last = first;
  while (last == first) {
    const double next = clock.MonotonicSeconds();
    ASSERT_GE(next, last);
    last = next;
  }
  EXPECT_GT(last, first);
}

TEST(SystemClock, WallTimeIsTheTimeOfDay) {
  const SystemClock clock;
  const absl::Time before = absl::Now();
  const absl::Time time = clock.WallTime();
  EXPECT_LE(before, time);
  EXPECT_LE(time, absl::Now());
}

}  // namespace
}  // namespace polyak::base
