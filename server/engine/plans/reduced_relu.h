#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/engine/plans/plan.h"

namespace polyak::engine {

// Wide ReLU networks, exactly: event-driven (EventDrivenNetwork), and in Gram coordinates
// (GramCoordinates) from where the looks that were counted would cost more than a product a step.
// docs/reduced-plans.md, section 3.
std::optional<PlanCost> ReducedReluCost(const ProblemSpec& problem, const OptimizerSpec& optimizer);
Eligibility ReducedReluEligible(const Experiment& experiment);
absl::StatusOr<std::unique_ptr<Stepper>> MakeReducedReluStepper(const Experiment& experiment,
                                                                const base::StopWish& stops = {});

}  // namespace polyak::engine
