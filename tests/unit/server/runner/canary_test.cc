#include "server/runner/canary.h"

#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace polyak::runner {
namespace {

TEST(Canary, PassesOnASoundBuild) {
  const base::SystemClock clock;
  EXPECT_TRUE(CanaryPasses(clock));
}

// How long it takes says nothing about whether the numbers are right.
TEST(Canary, PassesOnAClockThatStandsAndOnOneThatFlies) {
  const testing_support::FakeClock standing;
  EXPECT_TRUE(CanaryPasses(standing));
  const testing_support::FakeClock flying(1e6);
  EXPECT_TRUE(CanaryPasses(flying));
}

}  // namespace
}  // namespace polyak::runner
