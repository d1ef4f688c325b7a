#include "server/engine/linalg/tridiagonal_form.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace polyak::engine {
namespace {

constexpr int64_t kColumns = kPanelColumns;

// The power of two that brings the largest entry to about 1: scaling by it rounds nothing.
double UnitOf(const Matrix& matrix) {
  double largest = 0;
  for (Eigen::Index j = 0; j < matrix.cols(); ++j) {
    largest = std::max(largest, matrix.col(j).tail(matrix.rows() - j).cwiseAbs().maxCoeff());
  }
  // The reciprocal is finite as well.
  return largest == 0 ? 1 : std::ldexp(1.0, std::clamp(std::ilogb(largest), -1000, 1000));
}

// x -> (I - V T V') x, or with T' for T.
void Reflect(const BandForm::Block& block, bool transposed, Vector& x) {
  const auto rows = static_cast<int64_t>(block.v.size()) / kColumns;
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, kColumns, Eigen::RowMajor>;
  using RowMajorSquare = Eigen::Matrix<double, kColumns, kColumns, Eigen::RowMajor>;
  const Eigen::Map<const RowMajor> v(block.v.data(), rows, kColumns);
  const Eigen::Map<const RowMajorSquare> factor(block.factor.data());
  auto part = x.segment(block.first_row, rows);
  const Eigen::Matrix<double, kColumns, 1> product = v.transpose() * part;
  const Eigen::Matrix<double, kColumns, 1> weights =
      transposed ? (factor.transpose() * product).eval() : (factor * product).eval();
  part.noalias() -= v * weights;
}

}  // namespace

// Sweep j annihilates column j below its first subdiagonal entry by a reflector on the rows j + 1
// .. j + b. That fills the block below, whose first column the next reflector, b rows further down,
// annihilates, and so on to the end; the rest of each bulge is left to the sweeps that follow.
TridiagonalForm::TridiagonalForm(const Matrix& matrix, const LaneKernels& kernels) {
  const double unit = UnitOf(matrix);
  BandForm form = ReduceToBand(matrix, 1 / unit, kernels);
  const int64_t dimension = form.dimension;
  constexpr int64_t kStride = kBandStride - 1;
  double* const band = form.band.data();
  // A sweep has a reflector every b rows.
  const auto count = [&](int64_t j) { return (dimension - 1 - j + kColumns - 1) / kColumns; };
  int64_t reflectors = 0;
  for (int64_t j = 0; j + 2 < dimension; ++j) {
    reflectors += count(j);
  }
  chase_reflectors_.resize(static_cast<size_t>(reflectors * kColumns));
  chase_factors_.resize(static_cast<size_t>(reflectors));
  double* v = chase_reflectors_.data();
  double* tau = chase_factors_.data();
  for (int64_t j = 0; j + 2 < dimension; ++j) {
    double* const column = band + (j + 1) + j * kStride;
    column[0] = kernels.make_reflector(column, v, tau);
    for (int64_t row = j + 1;; row += kColumns) {
      kernels.reflect_block(*tau, v, band + row + row * kStride, kStride);
      const int64_t below = row + kColumns;
      if (below >= dimension) {
        break;
      }
      kernels.chase_block(*tau, v, band + below + row * kStride, kStride, v + kColumns, tau + 1);
      v += kColumns;
      ++tau;
    }
    v += kColumns;
    ++tau;
  }
  blocks_ = std::move(form.blocks);
  diagonal_.resize(dimension);
  off_diagonal_.resize(std::max<int64_t>(dimension - 1, 0));
  for (int64_t i = 0; i < dimension; ++i) {
    diagonal_(i) = unit * band[i + i * kStride];
    if (i + 1 < dimension) {
      off_diagonal_(i) = unit * band[i + 1 + i * kStride];
    }
  }
}

Vector TridiagonalForm::Coordinates(const Vector& x) const {
  Vector result = Vector::Zero(x.size() + kColumns);  // the last reflectors are shorter than b
  result.head(x.size()) = x;
  for (const BandForm::Block& block : blocks_) {
    Reflect(block, true, result);
  }
  const double* v = chase_reflectors_.data();
  const double* tau = chase_factors_.data();
  for (int64_t j = 0; j + 2 < x.size(); ++j) {
    for (int64_t row = j + 1; row < x.size(); row += kColumns, v += kColumns, ++tau) {
      const Eigen::Map<const Eigen::Matrix<double, kColumns, 1>> reflector(v);
      auto part = result.segment<kColumns>(row);
      part -= (*tau * reflector.dot(part)) * reflector;
    }
  }
  return result.head(x.size());
}

Vector TridiagonalForm::Combination(const Vector& coordinates) const {
  const Eigen::Index dimension = coordinates.size();
  Vector result = Vector::Zero(dimension + kColumns);
  result.head(dimension) = coordinates;
  const double* v = chase_reflectors_.data() + chase_reflectors_.size();
  const double* tau = chase_factors_.data() + chase_factors_.size();
  for (int64_t j = dimension - 3; j >= 0; --j) {
    const int64_t last = (dimension - 2 - j) / kColumns;
    for (int64_t k = last; k >= 0; --k) {
      v -= kColumns;
      --tau;
      const Eigen::Map<const Eigen::Matrix<double, kColumns, 1>> reflector(v);
      auto part = result.segment<kColumns>(j + 1 + k * kColumns);
      part -= (*tau * reflector.dot(part)) * reflector;
    }
  }
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    Reflect(*block, false, result);
  }
  return result.head(dimension);
}

}  // namespace polyak::engine
