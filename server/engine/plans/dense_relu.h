#pragma once

#include <memory>

#include "server/engine/optimizers/optimizer.h"
#include "server/engine/plans/plan.h"
#include "server/engine/problems/relu_network.h"

namespace polyak::engine {

// The literal recursion of a wide ReLU network, with every weight: W -= eta M of the gradient C X,
// C_ri = a_r / sqrt(m) 1[z_ri > 0] xi_i, Z = W X' (docs/theory.md, section 1). Each block of
// neurons is moved, and its next activations taken, in one pass; neither needs the others.
//   optimizer: every parameter set.
//   Cost of a step: 4 m n d flops, and W and M each read and written once; on up to two threads,
//   with the same bits for any number.
std::unique_ptr<Stepper> MakeDenseReluStepper(std::shared_ptr<const ReluNetworkInstance> instance,
                                              const OptimizerSpec& optimizer,
                                              const base::StopWish& stops);

}  // namespace polyak::engine
