#include "server/engine/linalg/symmetric_spectrum.h"

#include <Eigen/Eigenvalues>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/engine/linalg/tridiagonal_ends.h"
#include "server/engine/linalg/tridiagonal_form.h"

namespace polyak::engine {

bool IsSingular(double smallest, double largest) { return smallest <= kSingularRelative * largest; }

bool IsIndefinite(double smallest, double largest) {
  return smallest < -kSingularRelative * std::max(largest, 0.0) && smallest < 0;
}

absl::StatusOr<SymmetricSpectrum> ComputeSymmetricSpectrum(const Matrix& matrix) {
  // An iteration on infinities or NaN has no end that means anything.
  if (!matrix.allFinite()) {
    return absl::OutOfRangeError(
        "the Hessian or Gram matrix is not finite: the numbers it is made of are too large; "
        "accepted: numbers whose squares and sums are finite");
  }
  SymmetricSpectrum spectrum;
  if (matrix.rows() > kFullSpectrumDimensionMax) {
    const TridiagonalForm form(matrix);
    spectrum.eigenvalues = TridiagonalEnds(form.diagonal(), form.off_diagonal());
    return spectrum;
  }
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(matrix);
  if (solver.info() != Eigen::Success) {
    return absl::InternalError(absl::StrCat("eigenvalues of a ", matrix.rows(), " x ",
                                            matrix.cols(),
                                            " matrix: the iteration did not converge"));
  }
  spectrum.eigenvalues = solver.eigenvalues();
  spectrum.eigenvectors = solver.eigenvectors();
  return spectrum;
}

}  // namespace polyak::engine
