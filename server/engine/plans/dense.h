#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/engine/plans/plan.h"

namespace polyak::engine {

std::optional<PlanCost> DenseCost(const ProblemSpec& problem, const OptimizerSpec& optimizer);

// The literal definition: the problem evaluated with its gradient at each iterate, then the
// optimizer's update. Any problem, any optimizer. The reference for every other plan.
absl::StatusOr<std::unique_ptr<Stepper>> MakeDenseStepper(const Experiment& experiment,
                                                          const base::StopWish& stops = {});

}  // namespace polyak::engine
