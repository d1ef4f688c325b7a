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

constexpr double kIterations = 1000;

TEST(Plans, DenseFitsEveryProblemUnderEveryOptimizer) {
  for (const ProblemSpec& spec : EverySpec()) {
    for (const OptimizerSpec& optimizer : EveryOptimizer()) {
      const auto choice =
          ChoosePlan({ExecutionPlan::kDense, kIterations}, spec, {InstanceOf(spec), optimizer});
      ASSERT_TRUE(choice.ok()) << choice.status();
      EXPECT_EQ(choice->entry->plan, ExecutionPlan::kDense);
      EXPECT_EQ(choice->entry->name, "DENSE");
      EXPECT_EQ(choice->reason, "DENSE: the literal definition, as asked");
    }
  }
}

TEST(Plans, AutoTakesTheFewestOperationsOfThosePlansThatFit) {
  for (const ProblemSpec& spec : EverySpec()) {
    for (const OptimizerSpec& optimizer : EveryOptimizer()) {
      const Experiment experiment = {InstanceOf(spec), optimizer};
      const auto choice = ChoosePlan({ExecutionPlan::kAuto, kIterations}, spec, experiment);
      ASSERT_TRUE(choice.ok()) << choice.status();
      EXPECT_EQ(choice->reason.find(choice->entry->name), 0u) << choice->reason;
      const auto total = [&](const PlanEntry& plan) {
        const auto cost = plan.cost(spec, optimizer);
        return cost->setup_operations + kIterations * cost->operations_per_iteration;
      };
      for (const PlanEntry& plan : Plans()) {
        if (plan.cost(spec, optimizer).has_value() && plan.eligible(experiment).eligible) {
          EXPECT_LE(total(*choice->entry), total(plan)) << choice->entry->name << plan.name;
        }
      }
      EXPECT_TRUE(choice->entry->make(experiment, {}).ok());
    }
  }
}

TEST(Plans, AReducedPlanSaysWhatItSaves) {
  const ProblemSpec spec = EverySpec()[0];
  const auto choice = ChoosePlan({ExecutionPlan::kReduced, kIterations}, spec,
                                 {InstanceOf(spec), EveryOptimizer()[1]});
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->entry->plan, ExecutionPlan::kReduced);
  EXPECT_NE(choice->reason.find("operations for 1000 iterations instead of"), std::string::npos)
      << choice->reason;
}

TEST(Plans, WithoutAReducedPlanThatFitsItIsRefusedWithTheReason) {
  DeepLinearNetworkSpec gaussian = std::get<DeepLinearNetworkSpec>(EverySpec()[3]);
  gaussian.initialization = DeepLinearInitialization::kGaussian;
  const auto choice = ChoosePlan({ExecutionPlan::kReduced, kIterations}, gaussian,
                                 {InstanceOf(gaussian), EveryOptimizer()[1]});
  ASSERT_EQ(choice.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(choice.status().message());
  EXPECT_NE(message.find("accepted: EXECUTION_PLAN_UNSPECIFIED, EXECUTION_PLAN_DENSE"),
            std::string::npos)
      << message;
}

TEST(ForecastPlan, IsTheCostOfThePlanThatWillRun) {
  for (const ProblemSpec& spec : EverySpec()) {
    const OptimizerSpec optimizer = EveryOptimizer()[1];
    const PlanRequest request = {ExecutionPlan::kAuto, kIterations};
    const auto choice = ChoosePlan(request, spec, {InstanceOf(spec), optimizer});
    ASSERT_TRUE(choice.ok());
    const PlanCost forecast = ForecastPlan(request, spec, optimizer);
    const auto cost = choice->entry->cost(spec, optimizer);
    EXPECT_EQ(forecast.bytes, cost->bytes);
    EXPECT_EQ(forecast.operations_per_iteration, cost->operations_per_iteration);
    EXPECT_EQ(forecast.saved_values, cost->saved_values);
  }
}

}  // namespace
}  // namespace polyak::engine
