#include "server/engine/linalg/symmetric_spectrum.h"

#include <Spectra/SymEigsShiftSolver.h>
#include <Spectra/SymEigsSolver.h>
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace polyak::engine {
namespace {

// x -> H x for Spectra.
class Multiply {
 public:
  using Scalar = double;
  explicit Multiply(const Matrix& matrix) : matrix_(matrix) {}
  Eigen::Index rows() const { return matrix_.rows(); }
  Eigen::Index cols() const { return matrix_.cols(); }
  void perform_op(const double* in, double* out) const {
    Eigen::Map<Vector>(out, rows()).noalias() =
        matrix_.selfadjointView<Eigen::Lower>() * Eigen::Map<const Vector>(in, rows());
  }

 private:
  const Matrix& matrix_;
};

// x -> H^-1 x by a Cholesky factor made before.
class Solve {
 public:
  using Scalar = double;
  explicit Solve(const Eigen::LLT<Matrix>& factor) : factor_(factor) {}
  Eigen::Index rows() const { return factor_.rows(); }
  Eigen::Index cols() const { return factor_.cols(); }
  void set_shift(double /*sigma*/) {}  // 0, the shift of the factor
  void perform_op(const double* in, double* out) const {
    Eigen::Map<Vector>(out, rows()) = factor_.solve(Eigen::Map<const Vector>(in, rows()));
  }

 private:
  const Eigen::LLT<Matrix>& factor_;
};

constexpr int kLanczosVectors = 40;
constexpr int kIterationsMax = 1000;
constexpr double kTolerance = 1e-13;

// Both ends of a positive definite matrix, or nothing if one of the iterations fails.
std::optional<Vector> ComputeEnds(const Matrix& matrix) {
  const Eigen::LLT<Matrix> factor(matrix);
  if (factor.info() != Eigen::Success) {
    return std::nullopt;
  }
  Multiply multiply(matrix);
  Spectra::SymEigsSolver<Multiply> largest(multiply, 1, kLanczosVectors);
  largest.init();
  if (largest.compute(Spectra::SortRule::LargestAlge, kIterationsMax, kTolerance) != 1) {
    return std::nullopt;
  }
  Solve solve(factor);
  Spectra::SymEigsShiftSolver<Solve> smallest(solve, 1, kLanczosVectors, 0.0);
  smallest.init();
  if (smallest.compute(Spectra::SortRule::LargestMagn, kIterationsMax, kTolerance) != 1) {
    return std::nullopt;
  }
  Vector ends(2);
  ends << smallest.eigenvalues()(0), largest.eigenvalues()(0);
  // A Cholesky factor can exist although rounding has eaten the smallest eigenvalue; then the full
  // decomposition decides.
  if (IsSingular(ends(0), ends(1))) {
    return std::nullopt;
  }
  return ends;
}

}  // namespace

bool IsSingular(double smallest, double largest) { return smallest <= kSingularRelative * largest; }

bool IsIndefinite(double smallest, double largest) {
  return smallest < -kSingularRelative * std::max(largest, 0.0) && smallest < 0;
}

absl::StatusOr<SymmetricSpectrum> ComputeSymmetricSpectrum(const Matrix& matrix) {
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
