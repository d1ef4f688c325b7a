#pragma once

#include "server/engine/optimizers/optimizer.h"

namespace polyak::engine {

// A row of the weights has moved by -eta sum_j (S_j + carry M_j) x_j, with S the sum of all
// memories M before this iterate and M the newest of them: carry is 0 for gradient descent and
// Polyak's momentum. Nesterov's step is eta (grad + beta M) with grad = M - beta M_before, and
// those sum up to S + beta M.
inline double MemoryCarry(const LinearMethod& method) {
  return method.gradient_weight == 0 ? 0 : method.momentum;
}

}  // namespace polyak::engine
