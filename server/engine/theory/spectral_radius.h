#pragma once

#include "server/engine/optimizers/optimizer.h"

namespace polyak::engine {

// Spectral radius of a method at one eigenvalue: the factor that part of |xi| shrinks by in one
// iteration.
//   eigenvalue: of H, >= 0.   method.step_size: in 1 / unit of H.
// Returns a value >= 0; 1 or more means no contraction.   Source: docs/theory.md, section 2.
double SpectralRadius(double eigenvalue, const LinearMethod& method);

// The largest over a spectrum from smallest to largest: the two ends suffice for all three methods.
double SpectralRadius(double smallest_eigenvalue, double largest_eigenvalue,
                      const LinearMethod& method);

}  // namespace polyak::engine
