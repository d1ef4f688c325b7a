#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/engine/plans/plan.h"

namespace polyak::engine {

// Quadratics in the coordinates v = Q'(w - w*) of their eigenbasis H = Q diag(h) Q', where each
// coordinate moves by itself: M_i = beta M_i + h_i v_i, v_i -= eta M_i. Loss 1/2 sum h_i v_i^2,
// residual |v|. docs/reduced-plans.md, section 1.
// Cost: O(d) an iteration; one product with Q before the first and one for the literal iterate.
std::optional<PlanCost> SpectralCost(const ProblemSpec& problem, const OptimizerSpec& optimizer);
Eligibility SpectralEligible(const Experiment& experiment);
absl::StatusOr<std::unique_ptr<Stepper>> MakeSpectralStepper(const Experiment& experiment,
                                                             const base::StopWish& stops = {});

}  // namespace polyak::engine
