#include "server/spec/parse_training_job.h"

#include "server/spec/parse_optimizer.h"
#include "server/spec/parse_problem.h"
#include "server/spec/parse_stopping.h"

namespace polyak::spec {
namespace {

engine::ExecutionPlan ParsePlan(v1::ExecutionPlan plan, Violations& violations) {
  switch (plan) {
    case v1::EXECUTION_PLAN_UNSPECIFIED:
      return engine::ExecutionPlan::kAuto;
    case v1::EXECUTION_PLAN_DENSE:
      return engine::ExecutionPlan::kDense;
    case v1::EXECUTION_PLAN_REDUCED:
      return engine::ExecutionPlan::kReduced;
    default:
      violations.Add("spec.plan", Refusal(static_cast<int>(plan),
                                          "EXECUTION_PLAN_UNSPECIFIED, EXECUTION_PLAN_DENSE"));
      return engine::ExecutionPlan::kAuto;
  }
}

}  // namespace

std::optional<ExperimentSpec> ParseTrainingJobSpec(const v1::TrainingJobSpec& message,
                                                   const Limits& limits, Violations& violations) {
  const int64_t before = violations.count();
  ExperimentSpec spec;
  switch (message.problem_case()) {
    case v1::TrainingJobSpec::kQuadratic:
      spec.problem = ParseQuadratic(message.quadratic(), limits, violations);
      break;
    case v1::TrainingJobSpec::kReluNetwork:
      spec.problem = ParseReluNetwork(message.relu_network(), limits, violations);
      break;
    case v1::TrainingJobSpec::kDeepLinearNetwork:
      spec.problem = ParseDeepLinearNetwork(message.deep_linear_network(), limits, violations);
      break;
    case v1::TrainingJobSpec::PROBLEM_NOT_SET:
      violations.Add("spec.problem",
                     Refusal("not set", "quadratic, relu_network or deep_linear_network"));
      break;
  }
  spec.optimizer = ParseOptimizer(message.optimizer(), violations);
  spec.tuning = ParseTuning(message.optimizer().tuning(), violations);
  spec.stopping = ParseStopping(message.stopping(), limits, violations);
  spec.plan = ParsePlan(message.plan(), violations);
  spec.seed = engine::Seed{message.seed()};
  if (violations.count() != before) {
    return std::nullopt;
  }
  return spec;
}

}  // namespace polyak::spec
