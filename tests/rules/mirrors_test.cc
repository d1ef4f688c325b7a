#include "tests/rules/mirrors.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::rules {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(TheTree, HasATestForEverySourceOrSaysWhyNot) {
  std::vector<std::string> paths;
  std::string untested;
  for (const File& file : ReadTree()) {
    paths.push_back(file.path);
    if (file.path == "tests/rules/untested.txt") untested = file.text;
  }
  // That there is something to check.
  EXPECT_GE(std::count_if(paths.begin(), paths.end(),
                          [](const std::string& path) {
                            return StartsWith(path, "server/") && EndsWith(path, ".cc");
                          }),
            50);
  ASSERT_FALSE(untested.empty());
  const Findings findings = CheckMirrors(paths, untested);
  EXPECT_TRUE(findings.empty()) << Join(findings);
}

constexpr char kReason[] = "run as a whole program by another test";

TEST(MirrorOf, IsTheSamePathBelowTheUnitTests) {
  EXPECT_EQ(MirrorOf("server/jobs/jobs.cc"), "tests/unit/server/jobs/jobs_test.cc");
}

TEST(CheckMirrors, AcceptsATestOrAReason) {
  EXPECT_THAT(CheckMirrors({"server/a.cc", "tests/unit/server/a_test.cc", "client/b.cc",
                            "server/header_only.h", "tests/support/run.cc"},
                           std::string("# comment\n\nclient/b.cc: ") + kReason + "\n"),
              IsEmpty());
}

TEST(CheckMirrors, CatchesASourceWithoutATest) {
  EXPECT_THAT(CheckMirrors({"server/jobs/a.cc", "tests/unit/server/a_test.cc"}, ""),
              ElementsAre(HasSubstr("server/jobs/a.cc: has no test; accepted: "
                                    "tests/unit/server/jobs/a_test.cc")));
}

TEST(CheckMirrors, CatchesALineWithoutAReason) {
  for (const std::string line : {"server/a.cc", "server/a.cc:", "server/a.cc: later"}) {
    EXPECT_THAT(CheckMirrors({"server/a.cc"}, line),
                testing::Contains(HasSubstr("untested.txt:1: '" + line + "' gives no reason")));
  }
}

TEST(CheckMirrors, CatchesALineWhoseFileHasATestNow) {
  EXPECT_THAT(CheckMirrors({"server/a.cc", "tests/unit/server/a_test.cc"},
                           std::string("server/a.cc: ") + kReason),
              ElementsAre(HasSubstr("server/a.cc is stale: it has a test")));
}

TEST(CheckMirrors, CatchesALineWhoseFileIsGoneOrTwice) {
  EXPECT_THAT(CheckMirrors({}, std::string("server/a.cc: ") + kReason),
              ElementsAre(HasSubstr("server/a.cc is stale: there is no such source")));
  EXPECT_THAT(CheckMirrors({"server/a.cc"},
                           std::string("server/a.cc: ") + kReason + "\nserver/a.cc: " + kReason),
              ElementsAre(HasSubstr("untested.txt:2: server/a.cc is listed twice")));
}

}  // namespace
}  // namespace polyak::rules
