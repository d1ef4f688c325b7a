#include <set>
#include <string>

#include "gtest/gtest.h"
#include "server/engine/plans/plan.h"
#include "tests/unit/server/engine/plans/experiments.h"

namespace polyak::engine {
namespace {

TEST(Plans, HaveANameEachAndNoneTwice) {
  std::set<std::string_view> names;
  for (const PlanEntry& plan : Plans()) {
    EXPECT_FALSE(plan.name.empty());
    EXPECT_NE(plan.plan, ExecutionPlan::kAuto) << "AUTO is a choice, not a plan";
    EXPECT_TRUE(names.insert(plan.name).second) << plan.name;
  }
  EXPECT_EQ(names.count("DENSE"), 1u);
}

TEST(Plans, DenseFitsEveryProblemUnderEveryOptimizer) {
  for (const ProblemInstance& problem : EveryProblem()) {
    for (const OptimizerSpec& optimizer : EveryOptimizer()) {
      const auto choice = ChoosePlan(ExecutionPlan::kDense, {problem, optimizer});
      ASSERT_TRUE(choice.ok()) << choice.status();
      EXPECT_EQ(choice->entry->plan, ExecutionPlan::kDense);
      EXPECT_EQ(choice->entry->name, "DENSE");
      EXPECT_EQ(choice->reason, choice->entry->eligible({problem, optimizer}).reason);
      EXPECT_NE(choice->reason.find("DENSE"), std::string::npos);
    }
  }
}

TEST(Plans, AutoAlwaysFindsAPlanThatCanBeMade) {
  for (const ProblemInstance& problem : EveryProblem()) {
    for (const OptimizerSpec& optimizer : EveryOptimizer()) {
      const auto choice = ChoosePlan(ExecutionPlan::kAuto, {problem, optimizer});
      ASSERT_TRUE(choice.ok()) << choice.status();
      EXPECT_FALSE(choice->reason.empty());
      EXPECT_TRUE(choice->entry->make({problem, optimizer}).ok());
    }
  }
}

TEST(Plans, APlanThatThisVersionLacksIsRefusedWithWhatIsAccepted) {
  for (const ProblemInstance& problem : EveryProblem()) {
    const auto choice = ChoosePlan(ExecutionPlan::kReduced, {problem, EveryOptimizer()[1]});
    ASSERT_EQ(choice.status().code(), absl::StatusCode::kInvalidArgument);
    const std::string message(choice.status().message());
    EXPECT_NE(message.find("accepted: EXECUTION_PLAN_UNSPECIFIED, EXECUTION_PLAN_DENSE"),
              std::string::npos)
        << message;
  }
}

}  // namespace
}  // namespace polyak::engine
