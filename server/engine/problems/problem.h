#pragma once

#include <cstdint>

#include "server/engine/linalg/types.h"
#include "server/engine/problems/diagnostics.h"

namespace polyak::engine {

// What is recorded of one iterate (docs/theory.md, section 1).
struct Observation {
  double loss = 0;           // f(w) - f* (quadratic), |xi|^2 / 2 (networks)
  double residual_norm = 0;  // |xi|, Euclidean
};

// A function to be minimised, in its literal form. One instance per run, used by one thread; large
// data inside is shared and const.
class Problem {
 public:
  virtual ~Problem() = default;
  virtual int64_t dimension() const = 0;            // d, trained parameters
  virtual const Vector& initial_point() const = 0;  // w_0 (d)
  // loss and residual at w (d); writes the gradient (d) when it is not null. No allocation after
  // the first call.
  virtual Observation Evaluate(const Vector& w, Vector* gradient) = 0;
  // The matrix that Evaluate multiplies w by, where the rest of it is O(d); else null. Problems
  // that share the object may have their products computed at once: TileKernels::matrix_products of
  // it and w into the gradient, then EvaluateProduct.
  virtual const Matrix* product_matrix() const { return nullptr; }
  // Evaluate, to the bit, of a gradient (d) that holds the product, where there is such a matrix.
  virtual Observation EvaluateProduct(const Vector& w, Vector& gradient) {
    return Evaluate(w, &gradient);
  }
  // Share of activations that differ from the start, for problems that have activations; NaN for
  // the others.
  virtual double flipped_share() const = 0;
  // Of w, which Evaluate must have been called with last, and with a gradient.
  // Cost: for a quadratic O(d); for a ReLU network 2 m n^2 + 3 m d flops and DescribeGram of n x n;
  // for a deep linear one about 2 L m^2 d_y + 2 L m (r^2 + d_y^2) + 2 L (d_y r)^2 flops and
  // DescribeGram of d_y r x d_y r, or without these where d_y r > kGramOrderMax.
  virtual Diagnostics Diagnose(const Vector& w) const = 0;
};

}  // namespace polyak::engine
