#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/problems/registry.h"

namespace polyak::engine {

enum class Tuning { kTheorem, kAsymptotic };

// One condition under which a bound is proved.
struct Assumption {
  enum class Status { kMet, kUnmet, kUnverifiable };
  std::string name;     // snake_case: "momentum_in_complex_regime"
  double required = 0;  // NaN where there is no number
  double actual = 0;
  Status status = Status::kMet;
  std::string text;  // one sentence for a person
};

// What theory says before the run (docs/theory.md, sections 2 to 4).
struct Prediction {
  double smallest_eigenvalue =
      0;  // of H, without margins; of the non-zero ones for deep linear networks
  double largest_eigenvalue = 0;
  double condition_number = 0;          // infinity if H is singular
  double theorem_condition_number = 0;  // kappa_hat for ReLU networks, else the same
  double rate = 1;  // spectral radius at the resolved parameters; 1 if H is singular
  double constant =
      std::numeric_limits<double>::quiet_NaN();  // bound at t: constant bound_rate^t times p_0
  double bound_rate =
      std::numeric_limits<double>::quiet_NaN();  // (GD: times |xi_0|); NaN where no theorem applies
  double loss_floor = 0;                         // deep linear: the unreachable part of the loss
  std::vector<Assumption> assumptions;
};

// How the bound is compared with the run.
struct BoundSpec {
  double constant = std::numeric_limits<double>::quiet_NaN();
  double rate = std::numeric_limits<double>::quiet_NaN();
  // true: on p_t = |[xi_t; xi_{t-1}]| with p_0 = sqrt 2 |xi_0|; false: on |xi_t|.
  bool on_stacked_norm = true;
  // 1 + 1e-9 where the bound can be an equality (T10); the rounding floor is then added, too.
  double slack_factor = 1;
  // Share of |xi| that one step may add by rounding alone, which a rate near 0 does not cover
  // (T10).
  double rounding = 0;
  std::string theorem;  // "T7"
  bool exists() const { return !std::isnan(rate); }
};

// Everything decided before the run.
struct TheoryResolution {
  OptimizerSpec optimizer;  // every parameter set
  LinearMethod method;
  Prediction prediction;
  BoundSpec bound;
  // For the preview: unset mixed with set parameters, rate >= 1, bound floor, ...
  std::vector<std::string> warnings;
};

// Fills the unset parameters by `tuning` (T2 to T5), predicts the rate and picks the bound (T6 to
// T11). Errors: InvalidArgument, with a text that names the parameter and the eigenvalues, when a
// parameter must come from theory and H is singular, or ASYMPTOTIC is asked for a deep linear
// network without an orthogonal start. Cost: O(n^3) for networks (Gram spectrum), and one pass over
// the neurons under ASYMPTOTIC; O(1) for quadratics.
absl::StatusOr<TheoryResolution> Resolve(const ProblemInstance& problem,
                                         const OptimizerSpec& optimizer, Tuning tuning);

// Rounding floor of p_t at which checking stops (docs/theory.md, section 4).
//   initial_residual_norm: |xi_0|.
double RoundingFloor(const ProblemInstance& problem, double initial_residual_norm);

// The linearised dynamics: eigenvalues of H (k) and |<q_i, xi_0>| (k), from which (T12) gives the
// whole curve.
struct LinearizedStart {
  Vector eigenvalues;
  Vector weights;
  bool available() const { return eigenvalues.size() > 0; }
};
// Not available where H_0 has no spectrum of its own.  Cost: O(d^2) for a quadratic, one pass
// over the neurons for a ReLU network plus O(n^3), the initial forward pass for a deep linear one.
LinearizedStart Linearize(const ProblemInstance& problem);

}  // namespace polyak::engine
