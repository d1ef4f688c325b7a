#pragma once

#include <array>
#include <cstdint>

#include "server/engine/theory/theory.h"

namespace polyak::engine {

// The bound at iteration t in the unit of residual_norm: constant rate^t p_0 (docs/theory.md,
// section 4), NaN where there is none. For readers that ask for many iterations: the power is taken
// in two factors, rate^(t - t mod 64) and rate^(t mod 64), so that each stands for 64 iterations.
// What it gives for an iteration does not depend on what was asked for before.
class BoundCurve {
 public:
  // initial_residual_norm: |xi_0|.   Cost: 64 powers.
  BoundCurve(const BoundSpec& bound, double initial_residual_norm);
  // iteration: at least 0.   Cost: three multiplications, and a power every 64 iterations.
  double At(int64_t iteration);

 private:
  static constexpr int64_t kRun = 64;
  const double rate_;
  const double scale_;               // constant p_0
  std::array<double, kRun> powers_;  // rate^0 .. rate^63
  int64_t run_ = -1;                 // t / 64 of run_power_
  double run_power_ = 0;             // rate^(64 run)
};

}  // namespace polyak::engine
