#pragma once

#include <memory>

#include "server/engine/optimizers/optimizer.h"

namespace polyak::engine {

// M_t = beta M_{t-1} + grad_t with M_{-1} = 0, w_{t+1} = w_t - eta (grad_t + beta M_t); the iterate
// is the point where the gradient is taken (docs/theory.md, section 2).  step_size: eta; momentum:
// beta.
std::unique_ptr<Optimizer> MakeNesterovMomentum(double step_size, double momentum,
                                                Vector initial_point);

}  // namespace polyak::engine
