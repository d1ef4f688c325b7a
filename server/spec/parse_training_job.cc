#include "server/spec/parse_training_job.h"

#include <string>

#include "server/spec/parse_optimizer.h"
#include "server/spec/parse_problem.h"
#include "server/spec/parse_stopping.h"
#include "server/spec/unknown_fields.h"

namespace polyak::spec {
namespace {

constexpr char kAcceptedPlans[] =
    "EXECUTION_PLAN_UNSPECIFIED, EXECUTION_PLAN_DENSE, EXECUTION_PLAN_REDUCED";

// Whether a plan fits the spec is for the planner.
engine::ExecutionPlan ParsePlan(v1::ExecutionPlan plan, Violations& violations) {
  switch (plan) {
    case v1::EXECUTION_PLAN_UNSPECIFIED:
      return engine::ExecutionPlan::kAuto;
    case v1::EXECUTION_PLAN_DENSE:
      return engine::ExecutionPlan::kDense;
    case v1::EXECUTION_PLAN_REDUCED:
      return engine::ExecutionPlan::kReduced;
    default:
      violations.Add("spec.plan", Refusal(static_cast<int>(plan), kAcceptedPlans));
      return engine::ExecutionPlan::kAuto;
  }
}

engine::ProblemSpec ParseProblem(const v1::TrainingJobSpec& message, const Limits& limits,
                                 Violations& violations) {
  switch (message.problem_case()) {
    case v1::TrainingJobSpec::kQuadratic:
      return ParseQuadratic(message.quadratic(), limits, violations);
    case v1::TrainingJobSpec::kReluNetwork:
      return ParseReluNetwork(message.relu_network(), limits, violations);
    case v1::TrainingJobSpec::kDeepLinearNetwork:
      return ParseDeepLinearNetwork(message.deep_linear_network(), limits, violations);
    case v1::TrainingJobSpec::PROBLEM_NOT_SET:
      break;
  }
  violations.Add("spec.problem",
                 Refusal("not set", "quadratic, relu_network or deep_linear_network"));
  return {};
}

}  // namespace

std::optional<ExperimentSpec> ParsePreparablePart(const v1::TrainingJobSpec& message,
                                                  const Limits& limits) {
  ExperimentSpec spec;
  spec.stopping.max_iterations = 0;
  spec.seed = engine::Seed{message.seed()};
  Violations of_problem;
  spec.problem = ParseProblem(message, limits, of_problem);
  if (!of_problem.empty()) {
    return std::nullopt;
  }
  Violations of_optimizer;
  spec.optimizer = ParseOptimizer(message.optimizer(), of_optimizer);
  spec.tuning = ParseTuning(message.optimizer().tuning(), of_optimizer);
  if (!of_optimizer.empty()) {
    spec.optimizer = engine::GradientDescentSpec{1.0};  // asks nothing of theory
    spec.tuning = engine::Tuning::kTheorem;
  }
  return spec;
}

std::optional<ExperimentSpec> ParseTrainingJobSpec(const v1::TrainingJobSpec& message,
                                                   const Limits& limits, Violations& violations) {
  const int64_t before = violations.count();
  RefuseUnknownFields(message, "spec", violations);
  ExperimentSpec spec;
  spec.problem = ParseProblem(message, limits, violations);
  spec.optimizer = ParseOptimizer(message.optimizer(), violations);
  spec.tuning = ParseTuning(message.optimizer().tuning(), violations);
  spec.stopping = ParseStopping(message.stopping(), limits, violations);
  spec.plan = ParsePlan(message.plan(), violations);
  spec.seed = engine::Seed{message.seed()};
  spec.diagnostics_interval = message.diagnostics_interval();
  constexpr int64_t kDiagnosticsIntervalMax = 1'000'000'000;
  if (spec.diagnostics_interval < 0 || spec.diagnostics_interval > kDiagnosticsIntervalMax) {
    violations.Add(
        "spec.diagnostics_interval",
        Refusal(spec.diagnostics_interval, "1 to 1,000,000,000 iterations, or 0 for none"));
  }
  if (violations.count() != before) {
    return std::nullopt;
  }
  return spec;
}

}  // namespace polyak::spec
