#pragma once

#include <memory>

#include "server/engine/optimizers/optimizer.h"

namespace polyak::engine {

// w_{t+1} = w_t - eta grad_t.  step_size: eta.
std::unique_ptr<Optimizer> MakeGradientDescent(double step_size, Vector initial_point);

}  // namespace polyak::engine
