#include "server/engine/theory/bound_curve.h"

#include <cmath>
#include <limits>

namespace polyak::engine {

BoundCurve::BoundCurve(const BoundSpec& bound, double initial_residual_norm)
    : rate_(bound.rate),
      // Without a rate there is none, although NaN^0 is 1.
      scale_(bound.exists() ? bound.constant * (bound.on_stacked_norm ? std::sqrt(2.0) : 1.0) *
                                  initial_residual_norm
                            : std::numeric_limits<double>::quiet_NaN()) {
  for (size_t k = 0; k < powers_.size(); ++k) {
    powers_[k] = std::pow(rate_, static_cast<double>(k));
  }
}

double BoundCurve::At(int64_t iteration) {
  if (const int64_t run = iteration / kRun; run != run_) {
    run_ = run;
    run_power_ = std::pow(rate_, static_cast<double>(run * kRun));
  }
  return scale_ * (run_power_ * powers_[static_cast<size_t>(iteration % kRun)]);
}

}  // namespace polyak::engine
