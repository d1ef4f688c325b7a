#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/engine/plans/dense.h"
#include "server/engine/plans/plan.h"

namespace polyak::engine {
namespace {

Eligibility DenseEligible(const Experiment& /*experiment*/) {
  return {true, "DENSE, the literal definition: the only plan of this version"};
}

}  // namespace

const std::vector<PlanEntry>& Plans() {
  static const auto& plans = *new std::vector<PlanEntry>{
      {"DENSE", ExecutionPlan::kDense, DenseEligible, MakeDenseStepper},
  };
  return plans;
}

absl::StatusOr<PlanChoice> ChoosePlan(ExecutionPlan requested, const Experiment& experiment) {
  std::string reasons;
  for (const PlanEntry& plan : Plans()) {
    if (requested != ExecutionPlan::kAuto && requested != plan.plan) {
      continue;
    }
    Eligibility eligibility = plan.eligible(experiment);
    if (eligibility.eligible) {
      return PlanChoice{&plan, std::move(eligibility.reason)};
    }
    absl::StrAppend(&reasons, "; ", eligibility.reason);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("this version has no plan of that kind for the spec", reasons,
                   "; accepted: EXECUTION_PLAN_UNSPECIFIED, EXECUTION_PLAN_DENSE"));
}

}  // namespace polyak::engine
