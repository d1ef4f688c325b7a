#include "server/engine/problems/quadratic.h"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/lane_kernels.h"
#include "server/engine/linalg/tile_kernels.h"
#include "server/engine/linalg/tridiagonal_ends.h"

namespace polyak::engine {
namespace {

class DiagonalQuadratic : public Problem {
 public:
  explicit DiagonalQuadratic(std::shared_ptr<const QuadraticInstance> instance)
      : instance_(std::move(instance)) {}

  int64_t dimension() const override { return instance_->dimension(); }
  const Vector& initial_point() const override { return instance_->initial_point; }
  double flipped_share() const override { return std::numeric_limits<double>::quiet_NaN(); }
  Diagnostics Diagnose(const Vector& w) const override {
    return DiagnoseQuadratic(*instance_, (w - instance_->initial_point).norm());
  }

  Observation Evaluate(const Vector& w, Vector* gradient) override {
    const Vector& hessian = std::get<Vector>(instance_->hessian);
    const Vector& minimiser = instance_->minimiser;
    const Vector& linear_term = instance_->linear_term;
    const Eigen::Index dimension = w.size();
    double twice_loss = 0;
    double squared_norm = 0;
    for (Eigen::Index i = 0; i < dimension; ++i) {
      const double residual = w(i) - minimiser(i);
      squared_norm += residual * residual;
      twice_loss += hessian(i) * residual * residual;
    }
    if (gradient != nullptr) {
      gradient->array() = hessian.array() * w.array() - linear_term.array();
    }
    return {0.5 * twice_loss, std::sqrt(squared_norm)};
  }

 private:
  const std::shared_ptr<const QuadraticInstance> instance_;
};

class MatrixQuadratic : public Problem {
 public:
  explicit MatrixQuadratic(std::shared_ptr<const QuadraticInstance> instance)
      : instance_(std::move(instance)) {}

  int64_t dimension() const override { return instance_->dimension(); }
  const Vector& initial_point() const override { return instance_->initial_point; }
  double flipped_share() const override { return std::numeric_limits<double>::quiet_NaN(); }
  Diagnostics Diagnose(const Vector& w) const override {
    return DiagnoseQuadratic(*instance_, (w - instance_->initial_point).norm());
  }
  const Matrix* product_matrix() const override { return &instance_->matrix(); }

  Observation Evaluate(const Vector& w, Vector* gradient) override {
    if (gradient == nullptr) {
      unasked_.resize(w.size());
      gradient = &unasked_;
    }
    gradient->resize(w.size());
    const double* const vector = w.data();
    double* const product = gradient->data();
    products_.matrix_products(w.size(), instance_->matrix().data(), 1, &vector, &product);
    return EvaluateProduct(w, *gradient);
  }

  // f(w) - f* = 1/2 (w - w*)'(H w - b): the product is there already, and its rounding, eps |H| |w|
  // |w - w*|, is far below that of a difference of two values of f.
  Observation EvaluateProduct(const Vector& w, Vector& gradient) override {
    const PointSums sums =
        sums_.gradient_sums(w.size(), instance_->minimiser.data(), instance_->linear_term.data(),
                            w.data(), gradient.data());
    // At the rounding floor the sum of products may fall below 0, which no loss does.
    return {std::isnan(sums.form) ? sums.form : std::max(0.5 * sums.form, 0.0),
            std::sqrt(sums.squares)};
  }

 private:
  const std::shared_ptr<const QuadraticInstance> instance_;
  const TileKernels& products_ = WidestTileKernels();
  const LaneKernels& sums_ = WidestKernels();
  Vector unasked_;  // a gradient that nobody wants
};

// H w - b with each sum in extended precision: what iterative refinement needs.
Vector ExtendedResidual(const Matrix& hessian, const Vector& w, const Vector& linear_term) {
  Vector residual(w.size());
  for (Eigen::Index i = 0; i < w.size(); ++i) {
    long double sum = -static_cast<long double>(linear_term(i));
    for (Eigen::Index j = 0; j < w.size(); ++j) {
      sum += static_cast<long double>(hessian(j, i)) * static_cast<long double>(w(j));
    }
    residual(i) = static_cast<double>(sum);
  }
  return residual;
}

// x with T x = c for a positive definite tridiagonal T, by its factors L D L'.
Vector SolveTridiagonal(const TridiagonalForm& form, Vector c) {
  const Vector& off_diagonal = form.off_diagonal();
  const Eigen::Index last = c.size() - 1;
  Vector pivots = form.diagonal();
  for (Eigen::Index i = 0; i < last; ++i) {
    const double factor = off_diagonal(i) / pivots(i);
    pivots(i + 1) -= factor * off_diagonal(i);
    c(i + 1) -= factor * c(i);
  }
  c(last) /= pivots(last);
  for (Eigen::Index i = last - 1; i >= 0; --i) {
    c(i) = (c(i) - off_diagonal(i) * c(i + 1)) / pivots(i);
  }
  return c;
}

// w* = H^{-1} b, refined until its error is rounding alone.
//   solve: w for b, by whatever factors of H there are.
template <typename Solve>
Vector SolveRefined(const Matrix& hessian, const Vector& linear_term, const Solve& solve) {
  Vector w = solve(linear_term);
  for (int step = 0; step < 3; ++step) {
    w -= solve(ExtendedResidual(hessian, w, linear_term));
  }
  return w;
}

Vector Solve(const QuadraticInstance& instance) {
  const Matrix& hessian = instance.matrix();
  if (instance.tridiagonal != nullptr) {
    const TridiagonalForm& form = *instance.tridiagonal;
    return SolveRefined(hessian, instance.linear_term, [&](const Vector& b) {
      return form.Combination(SolveTridiagonal(form, form.Coordinates(b)));
    });
  }
  const Eigen::LDLT<Matrix> factor(hessian);
  return SolveRefined(hessian, instance.linear_term,
                      [&](const Vector& b) -> Vector { return factor.solve(b); });
}

absl::Status OutOfRange(double share) {
  return absl::InvalidArgumentError(absl::StrCat(
      "the linear term has a component outside the range of the singular Hessian (", share,
      " of its norm), so the function is unbounded below; accepted: a linear term in the range, to "
      "1e-9"));
}

// Share of |b| outside the range of H that rounding may leave.
constexpr double kRangeTolerance = 1e-9;

// The minimiser nearest to w_0 of a singular H: w_0 with its components in the range replaced.
absl::StatusOr<Vector> SolveSingular(const Matrix& hessian, const Vector& linear_term,
                                     const Vector& initial_point) {
  if (linear_term.size() > kFullSpectrumDimensionMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a singular Hessian of dimension ", linear_term.size(), " is given; accepted: up to ",
        kFullSpectrumDimensionMax, " when it is singular"));
  }
  const auto spectrum = ComputeSymmetricSpectrum(hessian);
  if (!spectrum.ok()) {
    return spectrum.status();
  }
  const Matrix& q = spectrum->eigenvectors.value();
  const Vector b = q.transpose() * linear_term;
  Vector w = q.transpose() * initial_point;
  double outside = 0;
  for (Eigen::Index i = 0; i < b.size(); ++i) {
    if (IsSingular(spectrum->eigenvalues(i), spectrum->largest())) {
      outside = std::hypot(outside, b(i));
    } else {
      w(i) = b(i) / spectrum->eigenvalues(i);
    }
  }
  if (outside > kRangeTolerance * linear_term.norm()) {
    return OutOfRange(outside / linear_term.norm());
  }
  return Vector(q * w);
}

absl::Status CheckDefinite(const SymmetricSpectrum& spectrum) {
  if (IsIndefinite(spectrum.smallest(), spectrum.largest()) || spectrum.largest() <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the smallest eigenvalue of the Hessian is ", spectrum.smallest(), ", the largest ",
        spectrum.largest(),
        "; accepted: a positive largest one and a smallest one not below -1e-13 of it"));
  }
  return absl::OkStatus();
}

Vector SortedCopy(const Vector& values) {
  Vector sorted = values;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

absl::Status SolveDiagonal(QuadraticInstance& instance) {
  const Vector& hessian = std::get<Vector>(instance.hessian);
  instance.spectrum.eigenvalues = SortedCopy(hessian);
  POLYAK_RETURN_IF_ERROR(CheckDefinite(instance.spectrum));
  instance.minimiser.resize(hessian.size());
  double outside = 0;
  for (Eigen::Index i = 0; i < hessian.size(); ++i) {
    if (IsSingular(hessian(i), instance.spectrum.largest())) {
      outside = std::hypot(outside, instance.linear_term(i));
      instance.minimiser(i) = instance.initial_point(i);
    } else {
      instance.minimiser(i) = instance.linear_term(i) / hessian(i);
    }
  }
  if (outside > kRangeTolerance * instance.linear_term.norm()) {
    return OutOfRange(outside / instance.linear_term.norm());
  }
  return absl::OkStatus();
}

absl::Status Decompose(QuadraticInstance& instance) {
  const Matrix& hessian = instance.matrix();
  // The small ones, and those that it refuses.
  if (hessian.rows() <= kEigenvectorsDimensionMax || !hessian.allFinite()) {
    POLYAK_ASSIGN_OR_RETURN(instance.spectrum, ComputeSymmetricSpectrum(hessian));
    return absl::OkStatus();
  }
  instance.tridiagonal = std::make_shared<const TridiagonalForm>(hessian);
  instance.spectrum.eigenvalues =
      TridiagonalEnds(instance.tridiagonal->diagonal(), instance.tridiagonal->off_diagonal());
  return absl::OkStatus();
}

template <typename Values>
bool HaveSameBits(const Values& a, const Values& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), static_cast<size_t>(a.size()) * sizeof(double)) == 0;
}

}  // namespace

bool HaveSameMatrix(const QuadraticInstance& a, const QuadraticInstance& b) {
  if (a.is_diagonal() || b.is_diagonal()) {
    return false;
  }
  return &a.matrix() == &b.matrix() || HaveSameBits(a.matrix(), b.matrix());
}

namespace {

using KnownInstances = std::vector<std::shared_ptr<const QuadraticInstance>>;

// The known instance with the same matrix, one with the same linear term and start if there is one;
// or null.
std::shared_ptr<const QuadraticInstance> FindAlike(const QuadraticInstance& instance,
                                                   const KnownInstances& known) {
  std::shared_ptr<const QuadraticInstance> alike;
  for (const auto& other : known) {
    if (!HaveSameMatrix(*other, instance)) {
      continue;
    }
    if (HaveSameBits(other->initial_point, instance.initial_point) &&
        HaveSameBits(other->linear_term, instance.linear_term)) {
      return other;
    }
    alike = alike == nullptr ? other : alike;
  }
  return alike;
}

// What follows from the matrix, and with the same linear term the minimiser, unless it depends on
// the start. Returns whether that is there.
bool TakeOver(const QuadraticInstance& alike, QuadraticInstance& instance) {
  instance.hessian = alike.hessian;
  instance.spectrum = alike.spectrum;
  instance.tridiagonal = alike.tridiagonal;
  if (IsSingular(instance.spectrum.smallest(), instance.spectrum.largest()) ||
      !HaveSameBits(alike.linear_term, instance.linear_term)) {
    return false;
  }
  instance.minimiser = alike.minimiser;
  return true;
}

// The minimiser, of a matrix whose spectrum is there.
absl::Status SolveMatrix(QuadraticInstance& instance) {
  if (IsSingular(instance.spectrum.smallest(), instance.spectrum.largest())) {
    POLYAK_ASSIGN_OR_RETURN(
        instance.minimiser,
        SolveSingular(instance.matrix(), instance.linear_term, instance.initial_point));
  } else if (instance.linear_term.isZero(0)) {
    instance.minimiser = Vector::Zero(instance.dimension());
  } else {
    instance.minimiser = Solve(instance);
  }
  return absl::OkStatus();
}

// H = A'A/n + ridge I, b = A'y/n.
absl::Status FillLeastSquares(const LeastSquaresSpec& spec, Seed seed,
                              QuadraticInstance& instance) {
  POLYAK_ASSIGN_OR_RETURN(const Dataset data, MakeDataset(spec.dataset, seed));
  const auto examples = static_cast<double>(data.features.rows());
  const Eigen::Index dimension = data.features.cols();
  Matrix hessian = Matrix::Zero(dimension, dimension);
  hessian.selfadjointView<Eigen::Lower>().rankUpdate(data.features.transpose(), 1 / examples);
  hessian.triangularView<Eigen::StrictlyUpper>() = hessian.transpose();
  hessian.diagonal().array() += spec.ridge;
  instance.hessian = std::make_shared<const Matrix>(std::move(hessian));
  instance.linear_term = data.features.transpose() * data.targets.col(0) / examples;
  return absl::OkStatus();
}

Vector NormalPoint(Seed seed, Eigen::Index dimension) {
  Vector point(dimension);
  RandomStream(seed, DrawPurpose::kInitialPoint)
      .FillNormal(0, std::span<double>(point.data(), static_cast<size_t>(dimension)));
  return point;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const QuadraticInstance>> MakeQuadraticInstance(
    const QuadraticSpec& spec, Seed seed, KnownInstances known) {
  auto instance = std::make_shared<QuadraticInstance>();
  Eigen::Index dimension = 0;
  if (const auto* matrix = std::get_if<std::shared_ptr<const Matrix>>(&spec.hessian)) {
    instance->hessian = *matrix;
    dimension = (*matrix)->rows();
  } else if (const auto* eigenvalues = std::get_if<std::shared_ptr<const Vector>>(&spec.hessian)) {
    instance->hessian = **eigenvalues;
    dimension = (*eigenvalues)->size();
  } else if (const auto* generated = std::get_if<GeneratedSpectrumSpec>(&spec.hessian)) {
    instance->hessian = GenerateSpectrum(*generated);
    dimension = generated->dimension;
  } else {
    POLYAK_RETURN_IF_ERROR(
        FillLeastSquares(std::get<LeastSquaresSpec>(spec.hessian), seed, *instance));
    dimension = instance->linear_term.size();
  }
  if (spec.linear_term != nullptr) {
    instance->linear_term = *spec.linear_term;
  } else if (instance->linear_term.size() == 0) {
    instance->linear_term = Vector::Zero(dimension);
  }
  instance->initial_point =
      spec.initial_point != nullptr ? *spec.initial_point : NormalPoint(seed, dimension);
  if (instance->is_diagonal()) {
    POLYAK_RETURN_IF_ERROR(SolveDiagonal(*instance));
    return instance;
  }
  std::shared_ptr<const QuadraticInstance> alike = FindAlike(*instance, known);
  known.clear();  // nobody's matrix is held for as long as this takes
  if (alike == nullptr) {
    POLYAK_RETURN_IF_ERROR(Decompose(*instance));
    POLYAK_RETURN_IF_ERROR(CheckDefinite(instance->spectrum));
  } else if (HaveSameBits(alike->initial_point, instance->initial_point) &&
             HaveSameBits(alike->linear_term, instance->linear_term)) {
    return alike;
  } else if (TakeOver(*alike, *instance)) {
    return instance;
  }
  alike.reset();
  POLYAK_RETURN_IF_ERROR(SolveMatrix(*instance));
  return instance;
}

Diagnostics DiagnoseQuadratic(const QuadraticInstance& instance, double distance_from_start) {
  Diagnostics diagnostics;
  DescribeEnds(instance.spectrum.smallest(), instance.spectrum.largest(), diagnostics);
  diagnostics.distance_from_start = distance_from_start;
  return diagnostics;
}

const Matrix& QuadraticInstance::matrix() const {
  POLYAK_CHECK(!is_diagonal());
  return *std::get<std::shared_ptr<const Matrix>>(hessian);
}

std::unique_ptr<Problem> MakeQuadraticProblem(std::shared_ptr<const QuadraticInstance> instance) {
  if (instance->is_diagonal()) {
    return std::make_unique<DiagonalQuadratic>(std::move(instance));
  }
  return std::make_unique<MatrixQuadratic>(std::move(instance));
}

}  // namespace polyak::engine
