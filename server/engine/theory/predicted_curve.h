#pragma once

#include <cstdint>
#include <vector>

#include "server/engine/theory/theory.h"

namespace polyak::engine {

// |xi_t| of the linearised dynamics (T12): xi_t = sum_i c_t(z_i) <q_i, xi_0> q_i, z = step_size
// lambda. The bits at an iteration are the same however one came there.
class PredictedCurve {
 public:
  PredictedCurve(LinearizedStart start, const LinearMethod& method);
  // Moves to iteration t >= 0.   Cost: O(k log t) for a power of the 2x2 blocks, and some steps of
  // the recursion, 255 at most; iterations after that cost O(k) each, with a power now and then.
  void Seek(int64_t iteration);
  // |xi_t| at the current iteration, then moves one on.
  double Next();

 private:
  void TakePower();  // to position_, by a power alone
  void Step();

  int64_t position_ = 0;  // t
  Vector weights_;
  Vector previous_factor_;  // coefficients of the two-term recursion c_{t+1} = current_factor c_t -
                            // previous_factor c_{t-1}
  Vector current_factor_;
  Vector first_;     // c_1
  Vector current_;   // c_t
  Vector previous_;  // c_{t-1}
};

}  // namespace polyak::engine
