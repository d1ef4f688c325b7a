#pragma once

#include <memory>

#include "server/engine/optimizers/optimizer.h"
#include "server/engine/plans/plan.h"
#include "server/engine/problems/deep_linear_network.h"

namespace polyak::engine {

// The literal recursion of a deep linear network, with every weight: W_l -= eta M_l of the gradient
//
//   dL/dW_l = (W_L ... W_{l+1})' xi (W_{l-1} ... W_1 X)' / sqrt(m^{L-1} d_y)
//
// at each iterate (docs/theory.md, section 1), as passes over the layers: W_L ... W_{l+1} from the
// last to the first, then each layer is moved and its new forward image taken on the way. The
// gradient, an outer product of min(d_y, r) columns, is not stored.
//   optimizer: every parameter set.
//   Cost of a step: about 2 m^2 (L - 2) (2 min(d_y, r) + r + 2) flops, and W read twice, M once,
//   both written once; on up to two threads, with the same bits for any number.
std::unique_ptr<Stepper> MakeDenseDeepLinearStepper(
    std::shared_ptr<const DeepLinearNetworkInstance> instance, const OptimizerSpec& optimizer);

}  // namespace polyak::engine
