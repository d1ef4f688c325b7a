#include "server/engine/linalg/symmetric_spectrum.h"

#include <Spectra/SymEigsShiftSolver.h>
#include <Spectra/SymEigsSolver.h>
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace polyak::engine {
namespace {

// Spectra compares residuals with its tolerance times max(eigenvalue, 3.7e-11), so both operators
// below are in units of the matrix: their eigenvalues sought are about 1 or more, whatever H is in.

// x -> H x / unit for Spectra.
class Multiply {
 public:
  using Scalar = double;
  Multiply(const Matrix& matrix, double unit) : matrix_(matrix), unit_(unit) {}
  Eigen::Index rows() const { return matrix_.rows(); }
  Eigen::Index cols() const { return matrix_.cols(); }
  void perform_op(const double* in, double* out) const {
    Eigen::Map<Vector> result(out, rows());
    result.noalias() =
        matrix_.selfadjointView<Eigen::Lower>() * Eigen::Map<const Vector>(in, rows());
    result /= unit_;
  }

 private:
  const Matrix& matrix_;
  const double unit_;
};

// x -> unit H^-1 x by a Cholesky factor made before.
class Solve {
 public:
  using Scalar = double;
  Solve(const Eigen::LLT<Matrix>& factor, double unit) : factor_(factor), unit_(unit) {}
  Eigen::Index rows() const { return factor_.rows(); }
  Eigen::Index cols() const { return factor_.cols(); }
  void set_shift(double /*sigma*/) {}  // 0, the shift of the factor
  void perform_op(const double* in, double* out) const {
    Eigen::Map<Vector> result(out, rows());
    result = factor_.solve(Eigen::Map<const Vector>(in, rows()));
    result *= unit_;
  }

 private:
  const Eigen::LLT<Matrix>& factor_;
  const double unit_;
};

constexpr int kLanczosVectors = 40;
constexpr int kIterationsMax = 1000;
constexpr double kTolerance = 1e-13;

std::optional<Vector> IterateEnds(const Matrix& matrix) {
  const Eigen::LLT<Matrix> factor(matrix);
  if (factor.info() != Eigen::Success) {
    return std::nullopt;
  }
  // The largest diagonal entry, positive since there is a factor, is between a d-th of the largest
  // eigenvalue and all of it. A power of two rounds nothing.
  const double unit = std::ldexp(1.0, std::ilogb(matrix.diagonal().maxCoeff()));
  Multiply multiply(matrix, unit);
  Spectra::SymEigsSolver<Multiply> largest(multiply, 1, kLanczosVectors);
  largest.init();
  if (largest.compute(Spectra::SortRule::LargestAlge, kIterationsMax, kTolerance) != 1) {
    return std::nullopt;
  }
  Solve solve(factor, unit);
  Spectra::SymEigsShiftSolver<Solve> smallest(solve, 1, kLanczosVectors, 0.0);
  smallest.init();
  if (smallest.compute(Spectra::SortRule::LargestMagn, kIterationsMax, kTolerance) != 1) {
    return std::nullopt;
  }
  Vector ends(2);
  ends << smallest.eigenvalues()(0) * unit, largest.eigenvalues()(0) * unit;
  // A Cholesky factor can exist although rounding has eaten the smallest eigenvalue; then the full
  // decomposition decides.
  if (IsSingular(ends(0), ends(1))) {
    return std::nullopt;
  }
  return ends;
}

// Both ends of a positive definite matrix, or nothing if one of the iterations fails, which Spectra
// says by its result or by an exception.
std::optional<Vector> ComputeEnds(const Matrix& matrix) {
  try {
    return IterateEnds(matrix);
  } catch (const std::logic_error&) {
    return std::nullopt;
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

}  // namespace

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
  const bool full = matrix.rows() <= kFullSpectrumDimensionMax;
  if (!full) {
    if (auto ends = ComputeEnds(matrix)) {
      spectrum.eigenvalues = *std::move(ends);
      return spectrum;
    }
  }
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(
      matrix, full ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  if (solver.info() != Eigen::Success) {
    return absl::InternalError(absl::StrCat("eigenvalues of a ", matrix.rows(), " x ",
                                            matrix.cols(),
                                            " matrix: the iteration did not converge"));
  }
  if (full) {
    spectrum.eigenvalues = solver.eigenvalues();
    spectrum.eigenvectors = solver.eigenvectors();
  } else {
    spectrum.eigenvalues.resize(2);
    spectrum.eigenvalues << solver.eigenvalues()(0), solver.eigenvalues()(matrix.rows() - 1);
  }
  return spectrum;
}

}  // namespace polyak::engine
