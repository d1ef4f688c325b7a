#include "server/spec/parse_stopping.h"

#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

const char kProblem[] =
    "quadratic { spectrum { generated { dimension: 2 condition_number: 2 } } } ";

std::string With(const std::string& rule) {
  return absl::StrCat(kProblem, "stopping { ", rule, " }");
}

TEST(ParseStopping, RefusesIterationsOutOfRange) {
  const std::string field = "spec.stopping.max_iterations";
  ExpectRefused({
      {With("max_iterations: -1"), field, "is -1", "0 to 1000000000"},
      {With("max_iterations: 1000000001"), field, "is 1000000001", "0 to 1000000000"},
      {With("max_iterations: 9223372036854775807"), field, "is 9223372036854775807",
       "0 to 1000000000"},
  });
}

TEST(ParseStopping, RefusesARelativeLossOutsideZeroToOne) {
  for (const char* value : {"0", "1", "-1e-09", "2", "nan", "inf", "-inf"}) {
    ExpectRefused({{With(absl::StrCat("relative_loss: ", value)), "spec.stopping.relative_loss",
                    absl::StrCat("is ", value), "0 < relative_loss < 1"}});
  }
}

TEST(ParseStopping, RefusesADurationThatIsNoneOrOverTheLimit) {
  const std::string field = "spec.stopping.max_duration";
  ExpectRefused({
      {With("max_duration {}"), field, "is 0 s and 0 ns", "more than 0 and at most 86400 seconds"},
      {With("max_duration { seconds: -1 }"), field, "is -1 s", "more than 0"},
      {With("max_duration { nanos: -1 }"), field, "-1 ns", "0 to 999999999 nanoseconds"},
      {With("max_duration { seconds: 5 nanos: -1 }"), field, "is 5 s and -1 ns",
       "0 to 999999999 nanoseconds"},
      {With("max_duration { seconds: 1 nanos: 1000000000 }"), field, "1000000000 ns",
       "0 to 999999999 nanoseconds"},
      {With("max_duration { seconds: 86400 nanos: 1000 }"), field, "is 86400 s and 1000 ns",
       "at most 86400"},
      {With("max_duration { seconds: 9223372036854775807 }"), field, "is 9223372036854775807 s",
       "at most 86400"},
  });
}

TEST(ParseStopping, AcceptsTheEdges) {
  ExpectAccepted({
      With("max_iterations: 0"),
      With("max_iterations: 1000000000"),
      With("relative_loss: 5e-324"),
      With("relative_loss: 0.99999999999999988"),
      With("max_duration { nanos: 1 }"),
      With("max_duration { seconds: 86400 }"),
  });
}

TEST(ParseStopping, UnsetMeansAHundredThousandIterationsNoToleranceAndTheServersTime) {
  Violations violations;
  Limits limits;
  limits.max_duration_seconds = 7;
  const engine::StoppingRule rule = ParseStopping({}, limits, violations);
  EXPECT_EQ(rule.max_iterations, 100'000);
  EXPECT_FALSE(rule.relative_loss.has_value());
  EXPECT_EQ(rule.max_seconds, 7);
  EXPECT_TRUE(violations.empty());
}

TEST(ParseStopping, UnsetIterationsStayWithinASmallerLimit) {
  Violations violations;
  Limits limits;
  limits.max_iterations = 500;
  EXPECT_EQ(ParseStopping({}, limits, violations).max_iterations, 500);
}

TEST(ParseStopping, ADurationKeepsItsNanoseconds) {
  Violations violations;
  v1::StoppingRule message;
  message.mutable_max_duration()->set_seconds(2);
  message.mutable_max_duration()->set_nanos(500'000'000);
  EXPECT_EQ(ParseStopping(message, {}, violations).max_seconds, 2.5);
}

}  // namespace
}  // namespace polyak::spec
