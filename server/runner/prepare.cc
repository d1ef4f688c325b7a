#include "server/runner/prepare.h"

#include <cmath>
#include <limits>
#include <utility>

#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/engine/plans/plan.h"
#include "server/spec/describe.h"
#include "server/spec/named_datasets.h"
#include "server/spec/parse_training_job.h"
#include "server/storage/job_store_rules.h"

namespace polyak::runner {
namespace {

// The field that a refusal of the problem itself is about.
std::string ProblemField(const engine::ProblemSpec& problem) {
  if (const auto* quadratic = std::get_if<engine::QuadraticSpec>(&problem)) {
    switch (quadratic->hessian.index()) {
      case 0:
        return "spec.quadratic.matrix";
      case 3:
        return "spec.quadratic.least_squares";
      default:
        return "spec.quadratic.spectrum";
    }
  }
  return std::holds_alternative<engine::ReluNetworkSpec>(problem)
             ? "spec.relu_network.dataset"
             : "spec.deep_linear_network.dataset";
}

// The same when it could not be made: a linear term outside the range of a singular Hessian is at
// fault itself, which shows when the problem can be made without it.
std::string RefusedField(const spec::ExperimentSpec& spec) {
  if (const auto* quadratic = std::get_if<engine::QuadraticSpec>(&spec.problem);
      quadratic != nullptr && quadratic->linear_term != nullptr) {
    engine::QuadraticSpec without = *quadratic;
    without.linear_term = nullptr;
    if (engine::Instantiate(without, spec.seed).ok()) {
      return "spec.quadratic.linear_term";
    }
  }
  return ProblemField(spec.problem);
}

// Theory refuses a choice of parameters, or, where it meets numbers that are not finite, the data.
std::string RefusedByTheory(const spec::ExperimentSpec& spec, const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument ? "spec.optimizer"
                                                             : ProblemField(spec.problem);
}

void AddStatus(const std::string& field, const absl::Status& status, spec::Violations& violations) {
  violations.Add(field, std::string{status.message()});
}

absl::StatusOr<engine::ProblemInstance> Instantiate(const spec::ExperimentSpec& spec,
                                                    KnownProblems* known) {
  const auto* quadratic = std::get_if<engine::QuadraticSpec>(&spec.problem);
  if (quadratic == nullptr || known == nullptr) {
    return engine::Instantiate(spec.problem, spec.seed);
  }
  POLYAK_ASSIGN_OR_RETURN(
      auto instance, engine::MakeQuadraticInstance(*quadratic, spec.seed, known->quadratics()));
  while (!instance->is_diagonal()) {
    const auto earlier = known->AddUnlessKnown(instance);
    if (earlier == nullptr) {
      break;
    }
    // Jobs have a product in common only of one and the same object.
    POLYAK_ASSIGN_OR_RETURN(
        instance, engine::MakeQuadraticInstance(*quadratic, spec.seed, std::vector{earlier}));
  }
  return instance;
}

engine::PlanRequest AskedPlan(const spec::ExperimentSpec& spec) {
  return {spec.plan, static_cast<double>(spec.stopping.max_iterations)};
}

}  // namespace

double RecordBytes(const spec::ExperimentSpec& spec) {
  const int columns = spec.diagnostics_interval > 0 ? int{engine::kDiagnosedTraceColumns}
                                                    : int{engine::kTraceColumns};
  return sizeof(double) * static_cast<double>(columns);
}

v1::Forecast ForecastCost(const spec::ExperimentSpec& spec) {
  const engine::PlanCost cost = engine::ForecastPlan(AskedPlan(spec), spec.problem, spec.optimizer);
  v1::Forecast forecast;
  forecast.set_parameters(engine::EstimateCost(spec.problem).parameters);
  forecast.set_setup_operations(cost.setup_operations);
  forecast.set_operations_per_iteration(cost.operations_per_iteration);
  const double row_bytes = RecordBytes(spec);
  forecast.set_trace_bytes((static_cast<double>(spec.stopping.max_iterations) + 1) * row_bytes);
  // A block of 1,024 records has three heads of 512 bytes, or of 1,024 with diagnostics. While a
  // checkpoint is written there are three.
  const double block_bytes =
      1024 * row_bytes + 3 * (spec.diagnostics_interval > 0 ? 1024.0 : 512.0);
  constexpr double kCheckpoints = 3;
  constexpr double kHeaders = 64 << 10;
  forecast.set_disk_bytes(block_bytes / (1024 * row_bytes) * forecast.trace_bytes() + kHeaders +
                          kCheckpoints * cost.saved_values * sizeof(double));
  forecast.set_memory_bytes(cost.bytes + forecast.trace_bytes());
  if (spec.diagnostics_interval > 0) {
    const engine::DiagnosticsCost diagnostics = engine::EstimateDiagnosticsCost(spec.problem);
    forecast.set_memory_bytes(forecast.memory_bytes() + diagnostics.bytes + cost.diagnosed_bytes);
    forecast.set_operations_per_iteration(forecast.operations_per_iteration() +
                                          diagnostics.operations /
                                              static_cast<double>(spec.diagnostics_interval));
  }
  return forecast;
}

void KeepPlan(const v1::TrainingJob& job, spec::ExperimentSpec& spec) {
  switch (job.resolution().plan()) {
    case v1::EXECUTION_PLAN_DENSE:
      spec.plan = engine::ExecutionPlan::kDense;
      break;
    case v1::EXECUTION_PLAN_REDUCED:
      spec.plan = engine::ExecutionPlan::kReduced;
      break;
    default:
      break;  // it was not prepared yet
  }
}

absl::Status CheckNamedDataset(const v1::TrainingJobSpec& spec,
                               const spec::NamedDatasets* datasets) {
  const std::string name = storage::NamedDataset(spec);
  return name.empty() || datasets == nullptr ? absl::OkStatus() : datasets->CheckUsable(name);
}

absl::Status LoadData(spec::ExperimentSpec& spec) {
  engine::DatasetSpec* dataset = nullptr;
  if (auto* quadratic = std::get_if<engine::QuadraticSpec>(&spec.problem)) {
    auto* squares = std::get_if<engine::LeastSquaresSpec>(&quadratic->hessian);
    dataset = squares == nullptr ? nullptr : &squares->dataset;
  } else if (auto* relu = std::get_if<engine::ReluNetworkSpec>(&spec.problem)) {
    dataset = &relu->dataset;
  } else {
    dataset = &std::get<engine::DeepLinearNetworkSpec>(spec.problem).dataset;
  }
  const auto* stored =
      dataset == nullptr ? nullptr : std::get_if<engine::StoredDataSpec>(&dataset->source);
  if (stored == nullptr) {
    return absl::OkStatus();
  }
  POLYAK_ASSIGN_OR_RETURN(
      auto data,
      stored->load(dataset->first_examples == 0 ? stored->examples : dataset->first_examples));
  // Holds what it was loaded by, which keeps the data set.
  auto held = std::make_shared<std::pair<engine::StoredDataSpec, engine::Dataset>>(*stored,
                                                                                   std::move(data));
  dataset->source = std::shared_ptr<const engine::Dataset>(held, &held->second);
  return absl::OkStatus();
}

std::shared_ptr<const PreparedJob> Prepare(const spec::ExperimentSpec& spec,
                                           spec::Violations& violations, KnownProblems* known) {
  auto job = std::make_shared<PreparedJob>();
  job->spec = spec;
  auto problem = Instantiate(spec, known);
  if (!problem.ok()) {
    AddStatus(RefusedField(spec), problem.status(), violations);
    return nullptr;
  }
  auto theory = engine::Resolve(*problem, spec.optimizer, spec.tuning);
  if (!theory.ok()) {
    AddStatus(RefusedByTheory(spec, theory.status()), theory.status(), violations);
    return nullptr;
  }
  job->theory = *std::move(theory);
  if (!std::isfinite(job->theory.method.step_size)) {
    violations.Add("spec.optimizer",
                   spec::Refusal(absl::StrCat("a method whose step size by theory is ",
                                              job->theory.method.step_size,
                                              ", since the largest eigenvalue is ",
                                              job->theory.prediction.largest_eigenvalue),
                                 "step_size set, or a larger problem"));
    return nullptr;
  }
  job->experiment = {*std::move(problem), job->theory.optimizer};
  auto plan = engine::ChoosePlan(AskedPlan(spec), spec.problem, job->experiment);
  if (!plan.ok()) {
    AddStatus("spec.plan", plan.status(), violations);
    return nullptr;
  }
  job->plan = *std::move(plan);
  job->resolution = spec::DescribeResolution(job->theory, spec.seed, job->plan);
  job->warnings = job->theory.warnings;
  return job;
}

v1::Forecast ForecastRun(const PreparedJob& job) {
  v1::Forecast forecast = ForecastCost(job.spec);
  const double rate = job.theory.prediction.rate;
  if (job.spec.stopping.relative_loss.has_value() && rate > 0 && rate < 1) {
    // The loss is quadratic in the residual: rate^(2 t) = relative_loss.
    const double iterations = std::log(*job.spec.stopping.relative_loss) / (2 * std::log(rate));
    if (iterations < 9e18) {
      forecast.set_predicted_iterations(static_cast<int64_t>(std::ceil(iterations)));
    }
  }
  return forecast;
}

std::optional<spec::ExperimentSpec> AcceptedSpec(const v1::TrainingJobSpec& spec,
                                                 const spec::NamedDatasets* datasets) {
  spec::Limits limits;
  limits.datasets = datasets;
  limits.max_iterations = std::numeric_limits<int64_t>::max();
  limits.max_duration_seconds = std::numeric_limits<double>::infinity();
  spec::Violations violations;
  return spec::ParseTrainingJobSpec(spec, limits, violations);
}

engine::LinearizedStart LinearizeJob(const v1::TrainingJobSpec& spec,
                                     const spec::NamedDatasets* datasets, int64_t dimension_max) {
  auto accepted = AcceptedSpec(spec, datasets);
  if (!accepted.has_value() || !LoadData(*accepted).ok()) {
    return {};
  }
  // Networks have as many eigenvalues as examples at most.
  if (std::holds_alternative<engine::QuadraticSpec>(accepted->problem) &&
      engine::EstimateCost(accepted->problem).parameters > static_cast<double>(dimension_max)) {
    return {};
  }
  const auto problem = engine::Instantiate(accepted->problem, accepted->seed);
  return problem.ok() ? engine::Linearize(*problem) : engine::LinearizedStart();
}

}  // namespace polyak::runner
