#include "server/runner/prepare.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "tests/unit/server/runner/prepared.h"

namespace polyak::runner {
namespace {

using ::testing::HasSubstr;

// A spec that parses but can't be prepared: the field, what is wrong, what is accepted.
struct Refused {
  std::string spec;
  std::string field;
  std::string received;
  std::string accepted;
};

void ExpectRefused(const std::vector<Refused>& rows) {
  for (const Refused& row : rows) {
    SCOPED_TRACE(row.spec);
    spec::Violations violations;
    EXPECT_EQ(Prepare(ParsedOf(row.spec), violations), nullptr);
    ASSERT_EQ(violations.count(), 1);
    EXPECT_EQ(violations.kept()[0].field, row.field);
    const std::string& text = violations.kept()[0].description;
    const size_t border = text.find("accepted: ");
    ASSERT_NE(border, std::string::npos) << text;
    EXPECT_THAT(text.substr(0, border), HasSubstr(row.received));
    EXPECT_THAT(text.substr(border), HasSubstr(row.accepted));
  }
}

TEST(Prepare, RefusesAnIndefiniteHessianWithItsEigenvalues) {
  ExpectRefused({
      {"quadratic { matrix { rows: 2 cols: 2 values: [1, 2, 2, 1] } } optimizer { gradient_descent "
       "{ step_size: 1 } }",
       "spec.quadratic.matrix", "the smallest eigenvalue of the Hessian is -1, the largest 3",
       "not below -1e-13"},
      {"quadratic { matrix { rows: 1 cols: 1 values: -2 } } optimizer { gradient_descent {} }",
       "spec.quadratic.matrix", "is -2, the largest -2", "a positive largest one"},
      {"quadratic { matrix { rows: 2 cols: 2 values: [0, 0, 0, 0] } } optimizer { gradient_descent "
       "{} }",
       "spec.quadratic.matrix", "the largest 0", "a positive largest one"},
  });
}

TEST(Prepare, RefusesALinearTermOutsideTheRangeOfASingularHessian) {
  ExpectRefused({
      {"quadratic { matrix { rows: 2 cols: 2 values: [1, 0, 0, 0] } linear_term: [1, 1] } "
       "optimizer { gradient_descent { step_size: 1 } }",
       "spec.quadratic.linear_term", "outside the range", "a linear term in the range"},
      {"quadratic { spectrum { explicit { eigenvalues: [0, 1] } } linear_term: [1e-3, 1] } "
       "optimizer { gradient_descent { step_size: 1 } }",
       "spec.quadratic.linear_term", "outside the range", "a linear term in the range"},
  });
}

TEST(Prepare, RefusesParametersByTheoryForASingularProblem) {
  const std::string theory = "a step size or momentum is not set and must come from theory";
  const std::string accepted = "every parameter of the method set";
  ExpectRefused({
      {"quadratic { matrix { rows: 2 cols: 2 values: [1, 0, 0, 0] } } optimizer { gradient_descent "
       "{} }",
       "spec.optimizer", theory, accepted},
      {"quadratic { spectrum { explicit { eigenvalues: [0, 1] } } } optimizer { polyak_momentum { "
       "step_size: 1 } }",
       "spec.optimizer", theory, accepted},
      {"quadratic { spectrum { explicit { eigenvalues: [1e-13, 1] } } } optimizer { "
       "nesterov_momentum { momentum: 0.5 } }",
       "spec.optimizer", theory, accepted},
      // Two equal examples make two equal rows of the Gram matrix.
      {"relu_network { width: 2 dataset { inline { features { rows: 2 cols: 1 values: [1, 1] } "
       "targets { rows: 2 cols: 1 values: [1, 2] } } } } optimizer { polyak_momentum {} }",
       "spec.optimizer", theory, accepted},
  });
}

TEST(Prepare, RefusesAsymptoticTuningWithoutAnOrthogonalStart) {
  ExpectRefused(
      {{"deep_linear_network { width: 3 depth: 2 initialization: "
        "INITIALIZATION_GAUSSIAN dataset { synthetic { examples: 4 input_dimension: 2 } "
        "} } optimizer { gradient_descent {} tuning: TUNING_ASYMPTOTIC }",
        "spec.optimizer", "TUNING_ASYMPTOTIC needs", "INITIALIZATION_ORTHOGONAL"}});
}

TEST(Prepare, RefusesDataWithoutASignal) {
  ExpectRefused(
      {{"deep_linear_network { width: 3 depth: 2 dataset { inline { features { rows: 2 "
        "cols: 1 values: [0, 0] } targets { rows: 2 cols: 1 values: [1, 2] } } } } "
        "optimizer { gradient_descent {} }",
        "spec.deep_linear_network.dataset", "every feature is zero",
        "features with a non-zero singular value"}});
}

TEST(Prepare, RefusesAPlanThatDoesNotFit) {
  spec::ExperimentSpec spec = ParsedOf(
      "deep_linear_network { width: 8 depth: 3 initialization: INITIALIZATION_GAUSSIAN dataset { "
      "synthetic { examples: 6 input_dimension: 4 } } } optimizer { gradient_descent {} }");
  spec.plan = engine::ExecutionPlan::kReduced;
  spec::Violations violations;
  EXPECT_EQ(Prepare(spec, violations), nullptr);
  ASSERT_EQ(violations.count(), 1);
  EXPECT_EQ(violations.kept()[0].field, "spec.plan");
  EXPECT_THAT(violations.kept()[0].description, HasSubstr("accepted: EXECUTION_PLAN_UNSPECIFIED"));
}

// Numbers that are finite in the spec, and not so when squared or multiplied.
TEST(Prepare, RefusesWhatLeavesTheNumbersOnTheWay) {
  const std::string huge =
      "dataset { inline { features { rows: 2 cols: 2 values: [1.7e308, 1.6e308, 1e308, -1.7e308] } "
      "targets { rows: 2 cols: 1 values: [1, 2] } } ";
  ExpectRefused({
      {"quadratic { least_squares { " + huge + "} } } optimizer { gradient_descent {} }",
       "spec.quadratic.least_squares", "not finite", "finite"},
      {"relu_network { width: 2 " + huge +
           "feature_scaling: FEATURE_SCALING_NONE } } optimizer { gradient_descent {} }",
       "spec.relu_network.dataset", "not finite", "finite"},
  });
}

// 1 / 5e-324 is infinite.
TEST(Prepare, RefusesAStepSizeByTheoryThatIsNotFinite) {
  ExpectRefused(
      {{"quadratic { spectrum { generated { dimension: 1 condition_number: 1 smoothness: "
        "5e-324 } } } optimizer { gradient_descent {} }",
        "spec.optimizer", "step size by theory is inf", "step_size set"}});
}

// Above 1,500 columns only the ends of the spectrum are computed, by another library, which throws.
TEST(Prepare, AHessianThatIsNotFiniteIsRefusedInEverySize) {
  v1::TrainingJobSpec message = SpecOf("optimizer { gradient_descent {} }");
  auto& data = *message.mutable_quadratic()->mutable_least_squares()->mutable_dataset();
  constexpr int kColumns = 1501;
  data.mutable_inline_()->mutable_features()->set_rows(1);
  data.mutable_inline_()->mutable_features()->set_cols(kColumns);
  for (int k = 0; k < kColumns; ++k) {
    data.mutable_inline_()->mutable_features()->add_values(1e200);
  }
  data.mutable_inline_()->mutable_targets()->set_rows(1);
  data.mutable_inline_()->mutable_targets()->set_cols(1);
  data.mutable_inline_()->mutable_targets()->add_values(1);
  spec::Violations violations;
  const auto parsed = spec::ParseTrainingJobSpec(message, {}, violations);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(Prepare(*parsed, violations), nullptr);
  ASSERT_EQ(violations.count(), 1);
  EXPECT_EQ(violations.kept()[0].field, "spec.quadratic.least_squares");
}

// Without unit norm a zero row is allowed: it has no angle to the others, and the Gram matrix a
// row of zeros.
TEST(Prepare, AZeroExampleMakesAReluNetworkSingularNotImpossible) {
  const std::string network =
      "relu_network { width: 2 dataset { feature_scaling: FEATURE_SCALING_NONE inline { features { "
      "rows: 2 cols: 1 values: [1, 0] } targets { rows: 2 cols: 1 values: [1, 2] } } } } ";
  ExpectRefused({{network + "optimizer { gradient_descent {} }", "spec.optimizer",
                  "must come from theory", "every parameter of the method set"}});
  const auto job = PreparedOf(network + "optimizer { gradient_descent { step_size: 1 } }");
  ASSERT_NE(job, nullptr);
  EXPECT_EQ(job->resolution.prediction().smallest_eigenvalue(), 0);
  EXPECT_EQ(job->resolution.prediction().largest_eigenvalue(), 0.5);  // |x|^2 pi / (2 pi)
}

TEST(Prepare, ASingularHessianRunsWithEveryParameterGiven) {
  const auto job = PreparedOf(
      "quadratic { matrix { rows: 2 cols: 2 values: [1, 0, 0, 0] } linear_term: [1, 0] } optimizer "
      "{ polyak_momentum { step_size: 0.5 momentum: 0.25 } }");
  ASSERT_NE(job, nullptr);
  const v1::Prediction& prediction = job->resolution.prediction();
  EXPECT_EQ(prediction.condition_number(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(prediction.rate(), 1);
  EXPECT_FALSE(job->warnings.empty());
}

// At the tolerance itself: -1e-13 of the largest is not yet indefinite, though singular.
TEST(Prepare, AnEigenvalueJustBelowZeroCountsAsZero) {
  EXPECT_NE(PreparedOf("quadratic { spectrum { explicit { eigenvalues: [-1e-13, 1] } } } optimizer "
                       "{ gradient_descent { step_size: 1 } }"),
            nullptr);
}

TEST(Prepare, DecidesEverythingBeforeTheFirstIteration) {
  const auto job = PreparedOf(
      "quadratic { spectrum { generated { dimension: 5 condition_number: 100 } } } optimizer { "
      "polyak_momentum {} } seed: 7");
  ASSERT_NE(job, nullptr);
  EXPECT_EQ(job->resolution.seed(), 7);
  EXPECT_EQ(job->resolution.plan(), v1::EXECUTION_PLAN_REDUCED);
  EXPECT_NE(job->resolution.plan_reason(), "");
  // (T2) at kappa = 100: 1 / alpha and (1 - 1/20)^2. One rounding of the square root and square.
  EXPECT_EQ(job->resolution.step_size(), 1);
  EXPECT_NEAR(job->resolution.momentum(), 0.9025, 1e-15);
  EXPECT_NEAR(job->resolution.prediction().rate(), 0.95, 1e-14);
}

TEST(ForecastCost, AddsTheTraceToTheMemoryOfTheProblem) {
  const std::string problem =
      "quadratic { spectrum { generated { dimension: 1000 condition_number: 10 } } } optimizer { "
      "polyak_momentum {} } ";
  const v1::Forecast forecast =
      ForecastCost(ParsedOf(problem + "stopping { max_iterations: 9999 }"));
  EXPECT_EQ(forecast.parameters(), 1000);
  EXPECT_EQ(forecast.trace_bytes(), 10'000 * 3 * 8.0);  // three columns of doubles
  EXPECT_GT(forecast.memory_bytes(), forecast.trace_bytes() + 3 * 8 * 1000.0);
  EXPECT_GT(forecast.operations_per_iteration(), 0);
  EXPECT_GT(forecast.setup_operations(), 0);
  EXPECT_FALSE(forecast.has_predicted_iterations());
}

// Nothing is allocated for a forecast, so these answer at once; each is over any server's memory.
TEST(ForecastCost, HostileSizesAreForecastNotTried) {
  for (const char* text :
       {"relu_network { width: 100000000 dataset { name: 'datasets/digits' } } optimizer { "
        "polyak_momentum {} } plan: EXECUTION_PLAN_DENSE",
        "relu_network { width: 1 dataset { synthetic { examples: 100000 input_dimension: 100000 } "
        "} } optimizer { gradient_descent {} }",
        "deep_linear_network { width: 100000000 depth: 70 dataset { name: 'datasets/wine' } } "
        "optimizer { gradient_descent {} } plan: EXECUTION_PLAN_DENSE",
        "quadratic { spectrum { generated { dimension: 10000000 condition_number: 2 } } } "
        "optimizer "
        "{ gradient_descent {} } stopping { max_iterations: 1000000000 }"}) {
    const v1::Forecast forecast = ForecastCost(ParsedOf(text));
    EXPECT_GT(forecast.memory_bytes(), 2e10) << text;
    EXPECT_TRUE(std::isfinite(forecast.memory_bytes())) << text;
  }
}

TEST(ForecastRun, PredictsTheIterationsToTheTolerance) {
  const std::string problem =
      "quadratic { spectrum { generated { dimension: 5 condition_number: 100 } } } ";
  const auto iterations = [&problem](const std::string& rest) {
    return ForecastRun(*PreparedOf(problem + rest)).predicted_iterations();
  };
  // log 1e-8 / (2 log 0.95) = 179.56: rate^(2t) is the loss.
  EXPECT_EQ(iterations("optimizer { polyak_momentum {} } stopping { relative_loss: 1e-8 }"), 180);
  // log 1e-8 / (2 log 0.99) = 916.4.
  EXPECT_EQ(iterations("optimizer { gradient_descent {} } stopping { relative_loss: 1e-8 }"), 917);
}

TEST(ForecastRun, PredictsNoIterationsWithoutToleranceOrProgress) {
  EXPECT_FALSE(
      ForecastRun(*PreparedOf("quadratic { spectrum { explicit { eigenvalues: [1, 2] } } } "
                              "optimizer { gradient_descent {} }"))
          .has_predicted_iterations());
  // Step 1 on eigenvalue 2: the rate is exactly 1.
  EXPECT_FALSE(
      ForecastRun(*PreparedOf("quadratic { spectrum { explicit { eigenvalues: [1, 2] } } } "
                              "optimizer { gradient_descent { step_size: 1 } } stopping { "
                              "relative_loss: 0.5 }"))
          .has_predicted_iterations());
  // A rate of 0: gradient descent on one eigenvalue is done after a step.
  EXPECT_FALSE(ForecastRun(*PreparedOf("quadratic { spectrum { explicit { eigenvalues: 2 } } } "
                                       "optimizer { gradient_descent {} } stopping { "
                                       "relative_loss: 0.5 }"))
                   .has_predicted_iterations());
}

}  // namespace
}  // namespace polyak::runner
