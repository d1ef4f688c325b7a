#include "server/spec/parse_filter.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::spec {
namespace {

using ::testing::HasSubstr;

JobFilter Good(const std::string& text) {
  Violations violations;
  const JobFilter filter = ParseFilter(text, violations);
  EXPECT_TRUE(violations.empty()) << text;
  return filter;
}

v1::TrainingJob Job() {
  v1::TrainingJob job;
  job.set_state(v1::TrainingJob::STATE_RUNNING);
  job.mutable_spec()->mutable_quadratic();
  job.mutable_spec()->mutable_optimizer()->mutable_polyak_momentum();
  (*job.mutable_labels())["course"] = "ml";
  (*job.mutable_labels())["kind"] = "a = b";
  return job;
}

TEST(ParseFilter, AnEmptyOneMatchesEveryJob) {
  EXPECT_TRUE(Good("").Matches(Job()));
  EXPECT_TRUE(Good("  \t").Matches({}));
}

TEST(ParseFilter, EachConditionIsAboutItsField) {
  EXPECT_TRUE(Good("state = \"RUNNING\"").Matches(Job()));
  EXPECT_FALSE(Good("state = \"QUEUED\"").Matches(Job()));
  EXPECT_TRUE(Good("problem = \"quadratic\"").Matches(Job()));
  EXPECT_FALSE(Good("problem = \"relu_network\"").Matches(Job()));
  EXPECT_FALSE(Good("problem = \"deep_linear_network\"").Matches(Job()));
  EXPECT_TRUE(Good("optimizer = \"polyak_momentum\"").Matches(Job()));
  EXPECT_FALSE(Good("optimizer = \"gradient_descent\"").Matches(Job()));
  EXPECT_FALSE(Good("optimizer = \"nesterov_momentum\"").Matches(Job()));
  EXPECT_TRUE(Good("labels.course = \"ml\"").Matches(Job()));
  EXPECT_FALSE(Good("labels.course = \"db\"").Matches(Job()));
  EXPECT_FALSE(Good("labels.missing = \"\"").Matches(Job()));
}

TEST(ParseFilter, EveryStateOfTheSchemaCanBeAskedFor) {
  const auto* states = v1::TrainingJob::State_descriptor();
  for (int k = 0; k < states->value_count(); ++k) {
    if (states->value(k)->number() == v1::TrainingJob::STATE_UNSPECIFIED) {
      continue;
    }
    v1::TrainingJob job;
    job.set_state(static_cast<v1::TrainingJob::State>(states->value(k)->number()));
    const std::string name = states->value(k)->name().substr(std::string("STATE_").size());
    EXPECT_TRUE(Good(absl::StrCat("state=\"", name, "\"")).Matches(job));
  }
}

TEST(ParseFilter, ConditionsJoinedByAndMustAllHold) {
  EXPECT_TRUE(Good("state=\"RUNNING\" AND labels.course = \"ml\"").Matches(Job()));
  EXPECT_FALSE(Good("state=\"RUNNING\" AND labels.course = \"db\"").Matches(Job()));
  EXPECT_TRUE(Good("labels.kind = \"a = b\"   AND   problem=\"quadratic\" ").Matches(Job()));
}

TEST(ParseFilter, TwoConditionsOnOneFieldMustBothHold) {
  EXPECT_FALSE(Good("state=\"QUEUED\" AND state=\"RUNNING\"").Matches(Job()));
  EXPECT_FALSE(Good("problem=\"relu_network\" AND problem=\"quadratic\"").Matches(Job()));
  EXPECT_FALSE(
      Good("optimizer=\"gradient_descent\" AND optimizer=\"polyak_momentum\"").Matches(Job()));
  EXPECT_FALSE(Good("labels.course=\"db\" AND labels.course=\"ml\"").Matches(Job()));
  EXPECT_TRUE(Good("state=\"RUNNING\" AND state=\"RUNNING\"").Matches(Job()));
}

TEST(ParseFilter, AnythingElseIsRefusedWithWhatIsAccepted) {
  for (const char* text : {"RUNNING",
                           "state",
                           "state =",
                           "state = RUNNING",
                           "state = \"RUNNING",
                           "state = \"\"",
                           "state = \"UNSPECIFIED\"",
                           "state = \"running\"",
                           "state = \"STATE_RUNNING\"",
                           "problem = \"cubic\"",
                           "optimizer = \"adam\"",
                           "labels. = \"x\"",
                           "labels = \"x\"",
                           "name = \"x\"",
                           "= \"x\"",
                           "state = \"RUNNING\" OR state = \"QUEUED\"",
                           "state = \"RUNNING\" state = \"RUNNING\"",
                           "state = \"RUNNING\" AND",
                           "AND",
                           "state = \"RUNNING\" AND AND state = \"RUNNING\"",
                           "state != \"RUNNING\"",
                           "NOT state = \"RUNNING\""}) {
    Violations violations;
    ParseFilter(text, violations);
    ASSERT_EQ(violations.count(), 1) << text;
    EXPECT_EQ(violations.kept()[0].field, "filter");
    EXPECT_THAT(violations.kept()[0].description, HasSubstr("accepted: ")) << text;
  }
}

TEST(ParseFilter, ALongOneIsCutInTheRefusal) {
  Violations violations;
  ParseFilter(std::string(100'000, 'x'), violations);
  ASSERT_EQ(violations.count(), 1);
  EXPECT_LT(violations.kept()[0].description.size(), 600u);
}

}  // namespace
}  // namespace polyak::spec
