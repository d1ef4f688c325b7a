#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/engine/linalg/band_form.h"
#include "server/engine/linalg/types.h"

namespace polyak::engine {

// H = Q T Q' with an orthogonal Q and a symmetric tridiagonal T. Q is kept as the reflectors it is
// made of.
class TridiagonalForm {
 public:
  // matrix: symmetric, d x d, d >= 1, finite; only the lower triangle is read.
  // In two steps: to a band by products of matrices, and from there by chasing bulges (Bischof,
  // Lang and Sun, "A framework for symmetric band reduction", ACM TOMS 26 (2000)). The result is
  // exact for a matrix that differs from H by a few d eps |H|; the same bits on every processor.
  // Cost: (4/3 d + 200) d^2 flops; d^2 doubles while it runs, and as many in the result.
  explicit TridiagonalForm(const Matrix& matrix, const LaneKernels& kernels = WidestKernels());

  Eigen::Index dimension() const { return diagonal_.size(); }
  const Vector& diagonal() const { return diagonal_; }          // (d)
  const Vector& off_diagonal() const { return off_diagonal_; }  // (d - 1)
  // Q'x and Q x (d).  Cost: 4 d^2 flops.
  Vector Coordinates(const Vector& x) const;
  Vector Combination(const Vector& coordinates) const;

 private:
  Vector diagonal_;
  Vector off_diagonal_;
  std::vector<BandForm::Block> blocks_;
  // Of the second step: (first row, tau, v (kPanelColumns)), in the order they were applied.
  std::vector<double> chase_reflectors_;
  std::vector<double> chase_factors_;
};

}  // namespace polyak::engine
