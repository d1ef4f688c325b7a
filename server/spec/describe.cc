#include "server/spec/describe.h"

#include <cmath>

namespace polyak::spec {
namespace {

v1::Assumption DescribeAssumption(const engine::Assumption& assumption) {
  v1::Assumption message;
  message.set_name(assumption.name);
  message.set_required(assumption.required);
  message.set_actual(assumption.actual);
  message.set_text(assumption.text);
  switch (assumption.status) {
    case engine::Assumption::Status::kMet:
      message.set_status(v1::Assumption::STATUS_MET);
      break;
    case engine::Assumption::Status::kUnmet:
      message.set_status(v1::Assumption::STATUS_UNMET);
      break;
    case engine::Assumption::Status::kUnverifiable:
      message.set_status(v1::Assumption::STATUS_UNVERIFIABLE);
      break;
  }
  return message;
}

v1::Prediction DescribePrediction(const engine::Prediction& prediction) {
  v1::Prediction message;
  message.set_smallest_eigenvalue(prediction.smallest_eigenvalue);
  message.set_largest_eigenvalue(prediction.largest_eigenvalue);
  message.set_condition_number(prediction.condition_number);
  message.set_theorem_condition_number(prediction.theorem_condition_number);
  message.set_rate(prediction.rate);
  message.set_constant(prediction.constant);
  message.set_bound_rate(prediction.bound_rate);
  message.set_loss_floor(prediction.loss_floor);
  for (const engine::Assumption& assumption : prediction.assumptions) {
    *message.add_assumptions() = DescribeAssumption(assumption);
  }
  return message;
}

v1::RateEstimate DescribeRate(const engine::RateEstimate& estimate) {
  v1::RateEstimate message;
  message.set_rate(estimate.rate);
  message.set_standard_error(estimate.standard_error);
  message.set_first_iteration(estimate.first_iteration);
  message.set_last_iteration(estimate.last_iteration);
  message.set_method(std::string{estimate.method});
  return message;
}

v1::Certificate DescribeCertificate(const engine::Certificate& certificate) {
  v1::Certificate message;
  switch (certificate.verdict) {
    case engine::Verdict::kPass:
      message.set_verdict(v1::Certificate::VERDICT_PASS);
      break;
    case engine::Verdict::kViolated:
      message.set_verdict(v1::Certificate::VERDICT_VIOLATED);
      break;
    case engine::Verdict::kNotApplicable:
      message.set_verdict(v1::Certificate::VERDICT_NOT_APPLICABLE);
      break;
  }
  message.set_bound_held(certificate.bound_held);
  if (certificate.least_slack.has_value()) {
    message.set_least_slack(*certificate.least_slack);
    message.set_least_slack_iteration(*certificate.least_slack_iteration);
    message.set_last_slack(*certificate.last_slack);
  }
  if (certificate.first_violation.has_value()) {
    message.set_first_violation(*certificate.first_violation);
  }
  message.set_iterations_checked(certificate.iterations_checked);
  for (const engine::Assumption& assumption : certificate.assumptions) {
    *message.add_assumptions() = DescribeAssumption(assumption);
  }
  return message;
}

}  // namespace

v1::Resolution DescribeResolution(const engine::TheoryResolution& theory, engine::Seed seed,
                                  const engine::PlanChoice& plan) {
  v1::Resolution message;
  message.set_step_size(theory.method.step_size);
  message.set_momentum(theory.method.momentum);
  message.set_seed(seed.value);
  message.set_plan(plan.entry->plan == engine::ExecutionPlan::kDense ? v1::EXECUTION_PLAN_DENSE
                                                                     : v1::EXECUTION_PLAN_REDUCED);
  message.set_plan_reason(plan.reason);
  *message.mutable_prediction() = DescribePrediction(theory.prediction);
  return message;
}

v1::Summary DescribeSummary(const engine::RunSummary& summary, double training_seconds) {
  v1::Summary message;
  message.set_iterations(summary.iterations);
  message.set_initial_loss(summary.initial_loss);
  message.set_final_loss(summary.final_loss);
  message.set_final_residual_norm(summary.final_residual_norm);
  if (summary.windowed.valid()) {
    message.set_measured_rate(summary.windowed.rate);
  }
  *message.mutable_windowed_rate() = DescribeRate(summary.windowed);
  *message.mutable_quotient_rate() = DescribeRate(summary.quotient);
  *message.mutable_overall_rate() = DescribeRate(summary.overall);
  message.set_peak_ratio(summary.peak_ratio);
  message.set_peak_iteration(summary.peak_iteration);
  if (!std::isnan(summary.flipped_share)) {
    message.set_flipped_share(summary.flipped_share);
  }
  *message.mutable_certificate() = DescribeCertificate(summary.certificate);
  message.mutable_training_time()->set_seconds(static_cast<int64_t>(training_seconds));
  message.mutable_training_time()->set_nanos(
      static_cast<int32_t>((training_seconds - std::floor(training_seconds)) * 1e9));
  return message;
}

v1::Termination DescribeTermination(engine::StopReason reason) {
  v1::Termination message;
  switch (reason) {
    case engine::StopReason::kConverged:
      message.set_reason(v1::Termination::REASON_CONVERGED);
      break;
    case engine::StopReason::kMaxIterations:
      message.set_reason(v1::Termination::REASON_MAX_ITERATIONS);
      break;
    case engine::StopReason::kTimeLimit:
      message.set_reason(v1::Termination::REASON_TIME_LIMIT);
      break;
    case engine::StopReason::kDiverged:
      message.set_reason(v1::Termination::REASON_DIVERGED);
      break;
    case engine::StopReason::kCancelled:
      message.set_reason(v1::Termination::REASON_CANCELLED);
      break;
  }
  return message;
}

}  // namespace polyak::spec
