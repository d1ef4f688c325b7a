#pragma once

#include "server/engine/optimizers/optimizer.h"
#include "server/engine/theory/theory.h"

namespace polyak::engine {

// The eigenvalues parameters are chosen from: of H, or with the theorem's margins.
struct TuningSpectrum {
  double smallest = 0;
  double largest = 0;
  double condition_number() const { return largest / smallest; }
};

struct TunedParameters {
  double step_size = 0;
  double momentum = 0;  // 0 for gradient descent
};

// Parameters of the method in `optimizer` (its own values are ignored) by theory: (T2), (T3) and
// their fellows for gradient descent and Nesterov.
//   spectrum: 0 < smallest <= largest.
TunedParameters TuneParameters(const OptimizerSpec& optimizer, const TuningSpectrum& spectrum,
                               Tuning tuning);

// Whether any parameter of `optimizer` is unset, and so must come from theory.
bool NeedsTuning(const OptimizerSpec& optimizer);

// `optimizer` with its unset parameters filled from `tuned`.
OptimizerSpec FillParameters(const OptimizerSpec& optimizer, const TunedParameters& tuned);

// Whether exactly one of two parameters is set.
bool IsMixed(const OptimizerSpec& optimizer);

}  // namespace polyak::engine
