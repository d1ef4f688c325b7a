#pragma once

#include <limits>

#include "server/engine/linalg/types.h"

namespace polyak::engine {

// What is told of one iterate beside its record, for jobs that ask for it (docs/reduced-plans.md,
// section 4). NaN where the problem has no such thing, or where it is not known.
struct Diagnostics {
  // Ends of the spectrum of H_t, the matrix of (T1) at w_t: the Hessian of a quadratic, the Gram
  // matrix J J' of a network, J (outputs x parameters) the derivative of its outputs. In the unit
  // of the predicted eigenvalues, which are those of H_0 or its limit.
  double smallest_eigenvalue = std::numeric_limits<double>::quiet_NaN();
  double largest_eigenvalue = std::numeric_limits<double>::quiet_NaN();
  double condition_number =
      std::numeric_limits<double>::quiet_NaN();  // infinity if H_t is singular
  // Share of activations that differ from the start.
  double flipped_share = std::numeric_limits<double>::quiet_NaN();
  // |w_t - w_0|, Euclidean over all parameters (Frobenius, for matrices).
  double distance_from_start = std::numeric_limits<double>::quiet_NaN();
};

// Fills the ends and their quotient.   gram: symmetric, N x N, N >= 1, only the lower triangle is
// read; not finite: they are NaN.   Rounding below 0 becomes 0, which no Gram matrix is below.
// Cost: (4/3 N + 200) N^2 flops, 2 N^2 doubles.   Errors of the ends: a few N eps of the largest.
void DescribeGram(const Matrix& gram, Diagnostics& diagnostics);
// The same of ends that are known.
void DescribeEnds(double smallest, double largest, Diagnostics& diagnostics);

// sum += a (x) b, the Kronecker product.   a: p x p, b: q x q, sum: p q x p q.  Cost: 2 (p q)^2
// flops.
void AddKroneckerProduct(const Matrix& a, const Matrix& b, Matrix& sum);

// Largest N = d_y r of a deep linear network's H_t, whose spectrum is computed: 33 MB, and about a
// second. That of a ReLU network has one row an example, and is as large as what every run needs.
inline constexpr Eigen::Index kGramOrderMax = 2048;

}  // namespace polyak::engine
