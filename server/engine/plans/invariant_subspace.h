#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/engine/plans/plan.h"

namespace polyak::engine {

// Deep linear networks with an orthogonal start, in the k = r + min(d_y, m - r) directions of each
// layer that the forward image of the data and the backward image of the last layer span: no
// gradient ever leaves them, so the network is one of width k that keeps the scale of width m.
// docs/reduced-plans.md, section 2.
// Cost: about 6 (L - 2) k^2 min(r, d_y) flops an iteration and O((r + d_y)^3) before the first,
// whatever m; the literal iterate takes the literal start and O(L m^2 k).
std::optional<PlanCost> InvariantSubspaceCost(const ProblemSpec& problem,
                                              const OptimizerSpec& optimizer);
// Given weights must be orthogonal to rounding: less than what counts as an orthogonal start, since
// the spans are invariant only as far as that goes.
Eligibility InvariantSubspaceEligible(const Experiment& experiment);
absl::StatusOr<std::unique_ptr<Stepper>> MakeInvariantSubspaceStepper(
    const Experiment& experiment, const base::StopWish& stops = {});

}  // namespace polyak::engine
