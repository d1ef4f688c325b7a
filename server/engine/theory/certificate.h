#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "server/base/bytes.h"
#include "server/engine/theory/theory.h"

namespace polyak::engine {

enum class Verdict { kPass, kViolated, kNotApplicable };

struct Certificate {
  Verdict verdict = Verdict::kNotApplicable;
  bool bound_held = false;
  // bound / measured, over t >= 1; the bound with what it allows for rounding (BoundSpec).
  std::optional<double> least_slack;
  std::optional<int64_t> least_slack_iteration;
  std::optional<double> last_slack;  // at the last checked t
  std::optional<int64_t> first_violation;
  int64_t iterations_checked = 0;  // t = 1 .. this, above the rounding floor
  std::vector<Assumption> assumptions;
};

// Compares the run with its bound, iteration by iteration. O(1) each; the bound's value is
// recomputed by a power every 1,024 iterations so that its rounding stays under 1e-12.
class CertificateChecker {
 public:
  // floor: of p_t or |xi_t|, whichever the bound is on; checking ends for good at the first t whose
  // bound is under it.
  CertificateChecker(const BoundSpec& bound, std::vector<Assumption> assumptions, double floor);
  // In order from t = 0.  stacked_norm: p_t, or infinity / NaN of a diverged run.
  void Add(int64_t iteration, double residual_norm, double stacked_norm);
  Certificate certificate() const;

  // What was compared so far, to the bit, and the bound's numbers to know it by.
  void Save(base::ByteSink& out) const;
  // What Save wrote, into a checker of the same bound; the floor is the saved one.
  // Errors: DataLoss for another bound, counts that can't be, or too few bytes; then the checker
  // must not be used.
  absl::Status Load(base::ByteSource& in);

 private:
  BoundSpec bound_;
  std::vector<Assumption> assumptions_;
  double floor_;
  double reference_ = 0;  // p_0 or |xi_0|
  double current_ = 0;    // bound at the next t
  bool closed_ = false;
  int64_t checked_ = 0;
  double least_slack_ = std::numeric_limits<double>::infinity();
  int64_t least_slack_iteration_ = 0;
  double last_slack_ = std::numeric_limits<double>::quiet_NaN();
  int64_t first_violation_ = -1;
};

// The bound at iteration t in the unit of residual_norm.  reference: |xi_0|.  NaN where there is
// none.  O(1).
double BoundAt(const BoundSpec& bound, double initial_residual_norm, int64_t iteration);

}  // namespace polyak::engine
