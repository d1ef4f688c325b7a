#pragma once

#include <cstdint>
#include <vector>

#include "server/engine/theory/theory.h"

namespace polyak::engine {

// |xi_t| of the linearised dynamics (T12): xi_t = sum_i c_t(z_i) <q_i, xi_0> q_i, z = step_size
// lambda.
class PredictedCurve {
 public:
  PredictedCurve(LinearizedStart start, const LinearMethod& method);
  // Moves to iteration t in O(k log t) (powers of the 2x2 blocks); iterations after that cost O(k)
  // each.
  void Seek(int64_t iteration);
  // |xi_t| at the current iteration, then moves one on.
  double Next();

 private:
  Vector weights_;
  Vector previous_factor_;  // coefficients of the two-term recursion c_{t+1} = current_factor c_t -
                            // previous_factor c_{t-1}
  Vector current_factor_;
  Vector first_;          // c_1
  Vector current_;        // c_t
  Vector previous_;       // c_{t-1}
  bool started_ = false;  // whether c_{t-1} exists: at t = 0 it does not
};

}  // namespace polyak::engine
