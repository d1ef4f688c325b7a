#include "server/engine/linalg/tridiagonal_eigen_coordinates.h"

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/linalg/symmetric_samples.h"

namespace polyak::engine {
namespace {

TEST(TridiagonalEigenCoordinates, AreThoseOfAnEigenbasis) {
  for (const Eigen::Index dimension : {1, 2, 3, 10, 80}) {
    const Vector diagonal = IrregularVector(dimension, 0.1);
    const Vector off_diagonal = IrregularVector(dimension - 1, 0.2);
    const Vector x = IrregularVector(dimension, 0.3);
    const auto result = TridiagonalEigenCoordinates(diagonal, off_diagonal, x);
    ASSERT_TRUE(result.ok()) << result.status();
    Eigen::SelfAdjointEigenSolver<Matrix> solver;
    solver.computeFromTridiagonal(diagonal, off_diagonal);
    const Vector expected = (solver.eigenvectors().transpose() * x).cwiseAbs();
    std::vector<Eigen::Index> order(static_cast<size_t>(dimension));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](Eigen::Index a, Eigen::Index b) {
      return result->eigenvalues(a) < result->eigenvalues(b);
    });
    const double rounding = ReductionRounding(dimension, 1);
    for (Eigen::Index k = 0; k < dimension; ++k) {
      const Eigen::Index at = order[static_cast<size_t>(k)];
      EXPECT_NEAR(result->eigenvalues(at), solver.eigenvalues()(k), rounding);
      // Eigenvectors turn by rounding over the gap: the least here is about 1e-3.
      EXPECT_NEAR(std::abs(result->coordinates(at)), expected(k), 1e3 * rounding) << dimension;
    }
    EXPECT_NEAR(result->coordinates.norm(), x.norm(), rounding * x.norm());
  }
}

// Moments x' T^k x are the same in any basis, whatever the gaps.
TEST(TridiagonalEigenCoordinates, KeepTheMomentsOfAMatrixWithEqualEigenvalues) {
  constexpr Eigen::Index kSize = 60;
  Vector off_diagonal = Vector::Constant(kSize - 1, -1);
  off_diagonal(kSize / 2 - 1) = 0;  // two equal halves
  const Vector diagonal = Vector::Constant(kSize, 2);
  const Vector x = IrregularVector(kSize, 0.4);
  const auto result = TridiagonalEigenCoordinates(diagonal, off_diagonal, x);
  ASSERT_TRUE(result.ok()) << result.status();
  Vector power = x;
  for (int k = 0; k < 5; ++k) {
    const double expected = x.dot(power);
    const double moment =
        (result->eigenvalues.array().pow(k) * result->coordinates.array().square()).sum();
    EXPECT_NEAR(moment, expected, ReductionRounding(kSize, std::pow(4, k) * x.squaredNorm()));
    Vector next = 2 * power;
    next.head(kSize - 1) += off_diagonal.cwiseProduct(power.tail(kSize - 1));
    next.tail(kSize - 1) += off_diagonal.cwiseProduct(power.head(kSize - 1));
    power = next;
  }
}

}  // namespace
}  // namespace polyak::engine
