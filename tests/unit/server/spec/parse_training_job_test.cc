#include "server/spec/parse_training_job.h"

#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

const char kQuadratic[] =
    "quadratic { spectrum { generated { dimension: 2 condition_number: 2 } } } ";

TEST(ParseTrainingJobSpec, AnEmptySpecNamesProblemAndMethod) {
  EXPECT_THAT(FieldsOf(ViolationsOf({})), ElementsAre("spec.problem", "spec.optimizer.method"));
}

TEST(ParseTrainingJobSpec, RefusesAnUnsetProblemAndAnUnknownPlan) {
  ExpectRefused({
      {"", "spec.problem", "not set", "quadratic, relu_network or deep_linear_network"},
      {absl::StrCat(kQuadratic, "plan: 4"), "spec.plan", "is 4", "EXECUTION_PLAN_REDUCED"},
      {absl::StrCat(kQuadratic, "plan: -1"), "spec.plan", "is -1", "EXECUTION_PLAN_DENSE"},
  });
}

TEST(ParseTrainingJobSpec, NamesEveryBadFieldAtOnce) {
  EXPECT_THAT(
      FieldsOf(ViolationsOf(SpecOf(R"pb(
        quadratic {
          matrix {
            rows: 2
            cols: 2
            values: [ 1, 0.5, 0, 1 ]
          }
          linear_term: [ 1, 2, 3 ]
          initial_point: [ nan, 0 ]
        }
        optimizer {
          polyak_momentum { step_size: -1 momentum: 1.5 }
          tuning: 9
        }
        stopping {
          max_iterations: -1
          relative_loss: 2
          max_duration {}
        }
        plan: 9
      )pb"))),
      UnorderedElementsAre(
          "spec.quadratic.matrix", "spec.quadratic.linear_term", "spec.quadratic.initial_point[0]",
          "spec.optimizer.polyak_momentum.step_size", "spec.optimizer.polyak_momentum.momentum",
          "spec.optimizer.tuning", "spec.stopping.max_iterations", "spec.stopping.relative_loss",
          "spec.stopping.max_duration", "spec.plan"));
}

TEST(ParseTrainingJobSpec, ListsFiftyViolationsAndCountsTheRest) {
  v1::TrainingJobSpec spec = SpecOf(kQuadratic);
  auto& matrix = *spec.mutable_quadratic()->mutable_matrix();
  matrix.set_rows(10);
  matrix.set_cols(10);
  for (int k = 0; k < 100; ++k) {
    matrix.add_values(std::numeric_limits<double>::quiet_NaN());
  }
  const Violations violations = ViolationsOf(spec);
  EXPECT_EQ(violations.count(), 100);
  ASSERT_EQ(violations.kept().size(), 50u);
  EXPECT_EQ(violations.kept()[49].field, "spec.quadratic.matrix.values[49]");
}

TEST(ParseTrainingJobSpec, ViolationsFoundBeforeDoNotRefuseAGoodSpec) {
  Violations violations;
  violations.Add("labels", "is bad; accepted: good");
  EXPECT_TRUE(ParseTrainingJobSpec(SpecOf(kQuadratic), {}, violations).has_value());
  EXPECT_EQ(violations.count(), 1);
}

TEST(ParsePreparablePart, IsTheProblemWithTheMethodWhereItIsInRange) {
  const auto both = ParsePreparablePart(
      SpecOf(absl::StrCat(kQuadratic,
                          "optimizer { polyak_momentum { momentum: 0.5 } } stopping { "
                          "relative_loss: 2 } plan: 9 seed: 3")),
      {});
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ(std::get<engine::PolyakMomentumSpec>(both->optimizer).momentum, 0.5);
  EXPECT_EQ(both->seed.value, 3);
  EXPECT_EQ(both->plan, engine::ExecutionPlan::kAuto);
  EXPECT_FALSE(both->stopping.relative_loss.has_value());
  const auto problem = ParsePreparablePart(
      SpecOf(absl::StrCat(kQuadratic, "optimizer { polyak_momentum { momentum: 2 } tuning: 9 }")),
      {});
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(std::get<engine::GradientDescentSpec>(problem->optimizer).step_size, 1.0);
}

TEST(ParsePreparablePart, IsNothingWhereTheProblemIsRefused) {
  EXPECT_FALSE(ParsePreparablePart(SpecOf("quadratic {}"), {}).has_value());
  EXPECT_FALSE(ParsePreparablePart({}, {}).has_value());
}

TEST(ParseTrainingJobSpec, ConvertsSeedPlanAndTuning) {
  const ExperimentSpec unset = ParsedSpec(kQuadratic);
  EXPECT_EQ(unset.seed.value, 0);
  EXPECT_EQ(unset.plan, engine::ExecutionPlan::kAuto);
  EXPECT_EQ(unset.tuning, engine::Tuning::kTheorem);
  const ExperimentSpec set =
      ParsedSpec(absl::StrCat(kQuadratic,
                              "seed: -9223372036854775808 plan: EXECUTION_PLAN_DENSE "
                              "optimizer { gradient_descent {} tuning: TUNING_ASYMPTOTIC }"));
  EXPECT_EQ(set.seed.value, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(set.plan, engine::ExecutionPlan::kDense);
  EXPECT_EQ(set.tuning, engine::Tuning::kAsymptotic);
}

TEST(ParseTrainingJobSpec, TakesAnIntervalOfDiagnosticsOrNone) {
  for (const int64_t interval : {0, 1, 1000}) {
    Violations violations;
    const auto spec = ParseTrainingJobSpec(
        SpecOf(absl::StrCat(kQuadratic, "diagnostics_interval: ", interval)), {}, violations);
    ASSERT_TRUE(spec.has_value()) << Text(violations);
    EXPECT_EQ(spec->diagnostics_interval, interval);
  }
  ExpectRefused({{absl::StrCat(kQuadratic, "diagnostics_interval: -5"), "spec.diagnostics_interval",
                  "is -5", "1 to 1,000,000,000 iterations"}});
}

}  // namespace
}  // namespace polyak::spec
