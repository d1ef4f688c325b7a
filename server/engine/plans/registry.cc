#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/engine/plans/dense.h"
#include "server/engine/plans/invariant_subspace.h"
#include "server/engine/plans/plan.h"
#include "server/engine/plans/reduced_relu.h"
#include "server/engine/plans/spectral.h"
#include "server/engine/plans/tridiagonal.h"

namespace polyak::engine {
namespace {

Eligibility DenseEligible(const Experiment& /*experiment*/) {
  return {true, "the literal definition"};
}

struct Candidate {
  const PlanEntry* entry;
  PlanCost cost;
  double operations;  // of the whole run
};

// Those of the kind asked for that can fit, the fewest operations first.
std::vector<Candidate> Candidates(const PlanRequest& request, const ProblemSpec& spec,
                                  const OptimizerSpec& optimizer) {
  std::vector<Candidate> candidates;
  for (const PlanEntry& plan : Plans()) {
    if (request.plan != ExecutionPlan::kAuto && request.plan != plan.plan) {
      continue;
    }
    if (const auto cost = plan.cost(spec, optimizer)) {
      candidates.push_back(
          {&plan, *cost,
           cost->setup_operations + request.iterations * cost->operations_per_iteration});
    }
  }
  std::stable_sort(
      candidates.begin(), candidates.end(),
      [](const Candidate& a, const Candidate& b) { return a.operations < b.operations; });
  return candidates;
}

// Why a plan runs, and what that saves or costs.
std::string Reason(const PlanRequest& request, const Candidate& chosen, const std::string& what,
                   double dense_operations, const std::string& others) {
  const bool reduced = chosen.entry->plan == ExecutionPlan::kReduced;
  std::string reason =
      absl::StrCat(std::string{chosen.entry->name}, reduced ? " (REDUCED): " : ": ", what);
  if (request.plan != ExecutionPlan::kAuto) {
    absl::StrAppend(&reason, ", as asked");
  }
  if (reduced) {
    absl::StrAppend(&reason,
                    absl::StrFormat("; about %.2g operations for %.10g iterations instead "
                                    "of %.2g by DENSE",
                                    chosen.operations, request.iterations, dense_operations));
  }
  return absl::StrCat(reason, others);
}

}  // namespace

const std::vector<PlanEntry>& Plans() {
  // Of two that take as many operations the first is chosen.
  static const auto& plans = *new std::vector<PlanEntry>{
      {"SPECTRAL", ExecutionPlan::kReduced, SpectralCost, SpectralEligible, MakeSpectralStepper},
      {"TRIDIAGONAL", ExecutionPlan::kReduced, TridiagonalCost, TridiagonalEligible,
       MakeTridiagonalStepper},
      {"EVENT_DRIVEN", ExecutionPlan::kReduced, ReducedReluCost, ReducedReluEligible,
       MakeReducedReluStepper},
      {"INVARIANT_SUBSPACE", ExecutionPlan::kReduced, InvariantSubspaceCost,
       InvariantSubspaceEligible, MakeInvariantSubspaceStepper},
      {"DENSE", ExecutionPlan::kDense, DenseCost, DenseEligible, MakeDenseStepper},
  };
  return plans;
}

absl::StatusOr<PlanChoice> ChoosePlan(const PlanRequest& request, const ProblemSpec& spec,
                                      const Experiment& experiment) {
  const PlanCost dense = *DenseCost(spec, experiment.optimizer);
  const double dense_operations =
      dense.setup_operations + request.iterations * dense.operations_per_iteration;
  std::string reasons;
  for (const Candidate& candidate : Candidates(request, spec, experiment.optimizer)) {
    const Eligibility eligibility = candidate.entry->eligible(experiment);
    if (eligibility.eligible) {
      return PlanChoice{candidate.entry,
                        Reason(request, candidate, eligibility.reason, dense_operations, reasons)};
    }
    absl::StrAppend(&reasons, "; ", std::string{candidate.entry->name},
                    " does not fit: ", eligibility.reason);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no plan of that kind is exact for the spec", reasons,
                   "; accepted: EXECUTION_PLAN_UNSPECIFIED, EXECUTION_PLAN_DENSE"));
}

PlanCost ForecastPlan(const PlanRequest& request, const ProblemSpec& spec,
                      const OptimizerSpec& optimizer) {
  const auto candidates = Candidates(request, spec, optimizer);
  // Refused when it is prepared, which the literal problem is the measure for.
  return candidates.empty() ? *DenseCost(spec, optimizer) : candidates.front().cost;
}

}  // namespace polyak::engine
