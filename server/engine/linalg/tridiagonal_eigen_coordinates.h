#pragma once

#include "absl/status/statusor.h"
#include "server/engine/linalg/types.h"

namespace polyak::engine {

struct EigenCoordinates {
  Vector eigenvalues;  // (d), in no order
  Vector coordinates;  // (d): of the given vector along a unit eigenvector of each, up to its sign
};

// A vector in the eigenbasis of a symmetric tridiagonal matrix, without the basis: the rotations of
// the QL iteration with implicit shifts are applied to that one vector (Golub and Welsch,
// "Calculation of Gauss quadrature rules", Math. Comp. 23 (1969)).
//   diagonal: (d), d >= 1; off_diagonal: (d - 1); x: (d); finite.
// Errors: Internal if the iteration does not converge.   Cost: O(d^2), about 1.7 d^2 / 2 rotations.
absl::StatusOr<EigenCoordinates> TridiagonalEigenCoordinates(const Vector& diagonal,
                                                             const Vector& off_diagonal,
                                                             const Vector& x);

}  // namespace polyak::engine
