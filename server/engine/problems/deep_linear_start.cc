// The random start of a deep linear network. An orthogonal start is drawn so that the position of
// the forward span (the image of U) against the backward span (of W_L) comes first, at a cost that
// does not depend on m: a plan that works in those spans alone starts from the same network.

#include "server/engine/problems/deep_linear_start.h"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <Eigen/SVD>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "server/base/check.h"
#include "server/engine/linalg/orthonormal_columns.h"
#include "server/engine/random/normal.h"
#include "server/engine/random/normal_matrix.h"

namespace polyak::engine {
namespace {

// Streams of kDeepLinearPosition, by index.
constexpr uint32_t kForwardPart = 0;  // Z
constexpr uint32_t kWishartNormals =
    1;  // below the diagonal of Bartlett's factor, or all of a singular one
constexpr uint32_t kChiSquares = 2;  // this + i: the diagonal

// Chi-square with `degrees` > 0, as 2 Gamma(degrees / 2). Up to 64 degrees: a sum of squares.
// Above: Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000),
// try k at positions 2k and 2k + 1.
double ChiSquare(const RandomStream& stream, int64_t degrees) {
  if (degrees <= 64) {
    double sum = 0;
    for (int64_t k = 0; k < degrees; ++k) {
      const double x = stream.Normal(static_cast<uint64_t>(k));
      sum += x * x;
    }
    return sum;
  }
  const double d = static_cast<double>(degrees) / 2 - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (uint64_t k = 0;; ++k) {
    const double x = stream.Normal(2 * k);
    const double root = 1 + c * x;
    if (root <= 0) {
      continue;
    }
    const double v = root * root * root;
    if (PortableLog(stream.Uniform(2 * k + 1)) < 0.5 * x * x + d - d * v + d * PortableLog(v)) {
      return 2 * d * v;
    }
  }
}

// F with F'F ~ Wishart(degrees, size) of identity scale: Bartlett's factor, transposed, or, where
// that is singular, the degrees x size normals themselves.
Matrix WishartFactor(Seed seed, int64_t degrees, Eigen::Index size) {
  const RandomStream normals(seed, DrawPurpose::kDeepLinearPosition, kWishartNormals);
  if (degrees < size) {
    return NormalMatrixByColumns(normals, degrees, size);
  }
  Matrix factor = Matrix::Zero(size, size);
  uint64_t position = 0;
  for (Eigen::Index i = 0; i < size; ++i) {
    const RandomStream chi_squares(seed, DrawPurpose::kDeepLinearPosition,
                                   kChiSquares + static_cast<uint32_t>(i));
    factor(i, i) = std::sqrt(ChiSquare(chi_squares, degrees - i));
    for (Eigen::Index j = 0; j < i; ++j) {
      factor(i, j) = normals.Normal(position++);
    }
  }
  return factor.transpose();
}

// M (r x d_y), the upper left block of a Haar orthogonal m x m matrix: Z (Z'Z + F'F)^{-1/2}, which
// is the upper part of the orthogonal polar factor of [Z; F]. By its singular vectors, since the
// sum of squares can be close to singular (m = d_y) and its root would lose half the digits.
Matrix RelativePosition(const DeepLinearNetworkInstance& instance) {
  const Eigen::Index rank = instance.singular_values.size();
  const Eigen::Index outputs = instance.output_dimension();
  const Matrix factor = WishartFactor(instance.seed, instance.width - rank, outputs);
  Matrix stacked(rank + factor.rows(), outputs);
  stacked << NormalMatrixByColumns(
      RandomStream(instance.seed, DrawPurpose::kDeepLinearPosition, kForwardPart), rank, outputs),
      factor;
  const Eigen::BDCSVD<Matrix> svd(stacked, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return svd.matrixU().topRows(rank) * svd.matrixV().transpose();
}

// T (k x d_y) with T'T = I - M'M, k = min(d_y, m - r) rows: the symmetric root, or its top part
// when m is small.
Matrix ComplementRoot(const Matrix& position, Eigen::Index rows) {
  const Eigen::Index outputs = position.cols();
  const Matrix rest = Matrix::Identity(outputs, outputs) - position.transpose() * position;
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(rest);
  const Vector roots = solver.eigenvalues().cwiseMax(0).cwiseSqrt();
  if (rows == outputs) {
    return solver.eigenvectors() * roots.asDiagonal() * solver.eigenvectors().transpose();
  }
  return roots.tail(rows).asDiagonal() * solver.eigenvectors().rightCols(rows).transpose();
}

// k' of RelativeStart: the directions of the backward span that the forward one has room beside it.
Eigen::Index ComplementSize(const DeepLinearNetworkInstance& instance) {
  return std::min<Eigen::Index>(instance.output_dimension(),
                                instance.width - instance.singular_values.size());
}

// Q_perp (m x size), uniform among the orthonormal columns that are orthogonal to Q.
Matrix DrawComplement(const DeepLinearNetworkInstance& instance, const Matrix& forward,
                      Eigen::Index size) {
  if (size == 0) {
    return {forward.rows(), 0};
  }
  const RandomStream stream(instance.seed, DrawPurpose::kDeepLinearWeights,
                            static_cast<uint32_t>(instance.depth));
  Matrix normal = NormalMatrixByColumns(stream, instance.width, size);
  // Twice: the columns may be close to dependent (as many as there is room for), and then the
  // first QR makes much of the rounding that its projection left; the second has nothing to make
  // much of.
  for (int pass = 0; pass < 2; ++pass) {
    normal -= forward * (forward.transpose() * normal).eval();
    normal = OrthonormalColumns(normal);
  }
  return normal;
}

LiteralStart DrawLiteralStart(const DeepLinearNetworkInstance& instance) {
  const double root_width = std::sqrt(static_cast<double>(instance.width));
  LiteralStart start;
  start.forward = instance.left;
  for (int l = 1; l < instance.depth; ++l) {
    const RandomStream stream(instance.seed, DrawPurpose::kDeepLinearWeights,
                              static_cast<uint32_t>(l));
    const Matrix basis = OrthonormalColumns(NormalMatrixByColumns(
        stream, instance.width, l == 1 ? instance.input_dimension() : instance.width));
    start.forward = (basis * start.forward).eval();
    start.weights.emplace_back(root_width * basis);
  }
  start.relative = DrawRelativeStart(instance);
  start.complement = DrawComplement(instance, start.forward, ComplementSize(instance));
  Matrix last = start.forward * start.relative.position;
  if (start.complement.cols() > 0) {
    last += start.complement * start.relative.complement;
  }
  start.weights.emplace_back(root_width * last.transpose());
  return start;
}

// By a QR decomposition of [Q, W_L' / sqrt(m)], whose Q is orthonormal whatever the rank.
LiteralStart SpansOfGivenWeights(const DeepLinearNetworkInstance& instance) {
  const double root_width = std::sqrt(static_cast<double>(instance.width));
  const std::vector<Matrix>& weights = *instance.initial_weights;
  Matrix forward = instance.left;
  for (size_t l = 0; l + 1 < weights.size(); ++l) {
    forward = (weights[l] * forward / root_width).eval();
  }
  const Eigen::Index rank = forward.cols();
  const Eigen::Index complement = ComplementSize(instance);
  const Matrix backward = weights.back().transpose() / root_width;
  Matrix both(forward.rows(), rank + backward.cols());
  both << forward, backward;
  const Eigen::HouseholderQR<Matrix> qr(both);
  const Matrix basis = qr.householderQ() * Matrix::Identity(both.rows(), rank + complement);
  LiteralStart start;
  start.weights = weights;
  start.complement = basis.rightCols(complement);
  start.relative = {forward.transpose() * backward, start.complement.transpose() * backward};
  start.forward = std::move(forward);
  return start;
}

std::vector<Matrix> GaussianStart(const DeepLinearNetworkInstance& instance) {
  std::vector<Matrix> weights;
  for (int l = 1; l <= instance.depth; ++l) {
    const RandomStream stream(instance.seed, DrawPurpose::kDeepLinearWeights,
                              static_cast<uint32_t>(l));
    weights.push_back(NormalMatrixByColumns(
        stream, l == instance.depth ? instance.output_dimension() : instance.width,
        l == 1 ? instance.input_dimension() : instance.width));
  }
  return weights;
}

}  // namespace

RelativeStart DrawRelativeStart(const DeepLinearNetworkInstance& instance) {
  RelativeStart start;
  start.position = RelativePosition(instance);
  const Eigen::Index size = ComplementSize(instance);
  start.complement =
      size == 0 ? Matrix(0, start.position.cols()) : ComplementRoot(start.position, size);
  return start;
}

LiteralStart MakeLiteralStart(const DeepLinearNetworkInstance& instance) {
  POLYAK_CHECK(instance.orthogonal_start);
  return instance.initial_weights != nullptr ? SpansOfGivenWeights(instance)
                                             : DrawLiteralStart(instance);
}

std::vector<Matrix> InitialDeepLinearWeights(const DeepLinearNetworkInstance& instance) {
  if (instance.initial_weights != nullptr) {
    return *instance.initial_weights;
  }
  return instance.initialization == DeepLinearInitialization::kOrthogonal
             ? DrawLiteralStart(instance).weights
             : GaussianStart(instance);
}

}  // namespace polyak::engine
