#pragma once

#include <memory>

#include "server/engine/optimizers/optimizer.h"

namespace polyak::engine {

// The heavy ball: M_t = beta M_{t-1} + grad_t with M_{-1} = 0, w_{t+1} = w_t - eta M_t.  step_size:
// eta; momentum: beta.
std::unique_ptr<Optimizer> MakePolyakMomentum(double step_size, double momentum,
                                              Vector initial_point);

}  // namespace polyak::engine
