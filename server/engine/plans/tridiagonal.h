#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/engine/plans/plan.h"

namespace polyak::engine {

// Quadratics with a full matrix in the coordinates v = Q'(w - w*) of H = Q T Q' with a tridiagonal
// T: gradient T v, loss 1/2 v'T v, residual |v|. docs/reduced-plans.md, section 1.
// Cost: O(d) an iteration; the form, which a large matrix has for its theory already, once; one
// product with Q before the first iteration and one for the literal iterate.
std::optional<PlanCost> TridiagonalCost(const ProblemSpec& problem, const OptimizerSpec& optimizer);
Eligibility TridiagonalEligible(const Experiment& experiment);
absl::StatusOr<std::unique_ptr<Stepper>> MakeTridiagonalStepper(const Experiment& experiment,
                                                                const base::StopWish& stops = {});

}  // namespace polyak::engine
