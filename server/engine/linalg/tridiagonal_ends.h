#pragma once

#include "server/engine/linalg/types.h"

namespace polyak::engine {

// Eigenvalues {smallest, largest} of a symmetric tridiagonal matrix by bisection: to a few units in
// the last place of the larger of both in size, or of themselves where that is less.
//   diagonal: (d), d >= 1; off_diagonal: (d - 1); finite.  Cost: O(d), about 100 passes.
Vector TridiagonalEnds(const Vector& diagonal, const Vector& off_diagonal);

}  // namespace polyak::engine
