#include "server/base/check.h"

#include "gtest/gtest.h"

namespace polyak::base {
namespace {

TEST(Check, DoesNothingWhenTheConditionHolds) {
  int evaluated = 0;
  POLYAK_CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeathTest, EndsTheProgramInReleaseBuildsTooAndSaysWhatAndWhere) {
  const int width = -3;
  EXPECT_DEATH(POLYAK_CHECK(width > 0), "check_test.cc:[0-9]+: check failed: width > 0");
}

}  // namespace
}  // namespace polyak::base
