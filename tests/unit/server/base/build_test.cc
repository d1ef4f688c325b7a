#include "server/base/build.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::base {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(BuildName, NamesVersionCompilerAndArchitecture) {
  EXPECT_EQ(BuildName(), "polyak " POLYAK_VERSION ", " + BuildTools());
  EXPECT_THAT(BuildTools(), ::testing::AnyOf(StartsWith("g++ "), StartsWith("clang ")));
#ifdef __x86_64__
  EXPECT_THAT(BuildTools(), HasSubstr(", x86-64"));
#endif
}

TEST(BuildName, IsShortEnoughForACheckpoint) { EXPECT_LE(BuildName().size(), 255U); }

}  // namespace
}  // namespace polyak::base
