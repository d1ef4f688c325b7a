#include "server/spec/violations.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::spec {
namespace {

TEST(Violations, KeepsTheFirstFiftyAndCountsAll) {
  Violations violations;
  EXPECT_TRUE(violations.empty());
  for (int k = 0; k < 120; ++k) {
    violations.Add(absl::StrCat("field[", k, "]"), "is bad; accepted: good");
  }
  EXPECT_FALSE(violations.empty());
  EXPECT_EQ(violations.count(), 120);
  ASSERT_EQ(violations.kept().size(), 50u);
  EXPECT_EQ(violations.kept().front().field, "field[0]");
  EXPECT_EQ(violations.kept().back().field, "field[49]");
}

TEST(Refusal, SaysWhatCameAndWhatIsAccepted) {
  EXPECT_EQ(Refusal(-3, "0 to 5"), "is -3; accepted: 0 to 5");
  EXPECT_EQ(Refusal(0.5, "1"), "is 0.5; accepted: 1");
}

TEST(Refusal, ANumberIsNotRoundedToOneThatIsAccepted) {
  EXPECT_EQ(Refusal(0.9999999999, "at least 1"), "is 0.9999999999; accepted: at least 1");
  EXPECT_EQ(Refusal(-1.7976931348623157e308, "1"), "is -1.7976931348623157e+308; accepted: 1");
  EXPECT_EQ(Refusal(-std::nan(""), "1"), "is nan; accepted: 1");
  EXPECT_EQ(Refusal(-std::numeric_limits<double>::infinity(), "1"), "is -inf; accepted: 1");
}

TEST(Quoted, ShortTextsStayWhole) {
  EXPECT_EQ(Quoted(""), "''");
  EXPECT_EQ(Quoted("datasets/mnist"), "'datasets/mnist'");
  EXPECT_EQ(Quoted(std::string(40, 'x')), "'" + std::string(40, 'x') + "'");
}

TEST(Quoted, LongTextsAreCut) {
  EXPECT_EQ(Quoted(std::string(41, 'x')), "'" + std::string(40, 'x') + "...'");
}

// A message field is UTF-8 or can't be read: half a character would lose the whole refusal.
TEST(Quoted, NeverCutsACharacterInTwo) {
  const std::string two_bytes = "\xC3\xA9";           // e with an acute accent
  const std::string four_bytes = "\xF0\x9F\x98\x80";  // an emoji
  for (size_t before = 35; before <= 40; ++before) {
    const std::string start(before, 'x');
    EXPECT_EQ(Quoted(start + four_bytes + "yyyyy"),
              before <= 36
                  ? absl::StrCat("'", start, four_bytes, std::string(36 - before, 'y'), "...'")
                  : absl::StrCat("'", start, "...'"));
  }
  EXPECT_EQ(Quoted(std::string(39, 'x') + two_bytes), "'" + std::string(39, 'x') + "...'");
}

}  // namespace
}  // namespace polyak::spec
