#include "server/engine/linalg/orthonormal_columns.h"

#include <Eigen/LU>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

// Standard normals of the standard library: any will do here, and this room knows no others.
Matrix Normals(Eigen::Index rows, Eigen::Index cols, std::mt19937_64& generator) {
  std::normal_distribution<double> normal;
  Matrix matrix(rows, cols);
  for (Eigen::Index k = 0; k < matrix.size(); ++k) {
    matrix.data()[k] = normal(generator);
  }
  return matrix;
}

struct Shape {
  Eigen::Index rows;
  Eigen::Index cols;
};

class OrthonormalColumnsOf : public ::testing::TestWithParam<Shape> {
 protected:
  // Householder's Q differs from an orthonormal one by a modest multiple of rows cols^(1/2) eps
  // (Higham, "Accuracy and Stability of Numerical Algorithms", theorem 19.4), in practice far less.
  double rounding() const {
    return static_cast<double>(GetParam().rows) * std::sqrt(static_cast<double>(GetParam().cols)) *
           std::numeric_limits<double>::epsilon();
  }
};

TEST_P(OrthonormalColumnsOf, AreOrthonormal) {
  std::mt19937_64 generator(11);
  const Matrix normal = Normals(GetParam().rows, GetParam().cols, generator);
  const Matrix q = OrthonormalColumns(normal);
  ASSERT_EQ(q.rows(), normal.rows());
  ASSERT_EQ(q.cols(), normal.cols());
  EXPECT_LE((q.transpose() * q - Matrix::Identity(q.cols(), q.cols())).norm(), 4 * rounding());
}

TEST_P(OrthonormalColumnsOf, LeaveAnUpperTriangleWithAPositiveDiagonal) {
  std::mt19937_64 generator(12);
  const Matrix normal = Normals(GetParam().rows, GetParam().cols, generator);
  const Matrix q = OrthonormalColumns(normal);
  const Matrix r = q.transpose() * normal;
  for (Eigen::Index j = 0; j < r.cols(); ++j) {
    EXPECT_GT(r(j, j), 0);
  }
  const Matrix below = r.triangularView<Eigen::StrictlyLower>();
  EXPECT_LE(below.norm(), 4 * rounding() * normal.norm());
  EXPECT_LE((q * r - normal).norm(), 4 * rounding() * normal.norm());
}

INSTANTIATE_TEST_SUITE_P(Shapes, OrthonormalColumnsOf,
                         ::testing::Values(Shape{1, 1}, Shape{5, 1}, Shape{4, 4}, Shape{40, 3},
                                           Shape{100, 100}, Shape{300, 64}));

TEST(OrthonormalColumns, OfOneColumnIsItsDirection) {
  Matrix column(2, 1);
  column << -3, 4;
  const Matrix q = OrthonormalColumns(column);
  EXPECT_NEAR(q(0, 0), -0.6, 1e-15);
  EXPECT_NEAR(q(1, 0), 0.8, 1e-15);
}

TEST(OrthonormalColumns, OfOrthonormalOnesAreTheSame) {
  std::mt19937_64 generator(13);
  const Matrix q = OrthonormalColumns(Normals(30, 7, generator));
  EXPECT_LE((OrthonormalColumns(q) - q).norm(), 30 * 7 * std::numeric_limits<double>::epsilon());
}

// Every entry of a Haar orthogonal 3 x 3 matrix is a coordinate of a point uniform on the sphere,
// hence uniform on [-1, 1] (Archimedes). Without the positive diagonal the first would not be.
TEST(OrthonormalColumns, OfNormalsAreUniformOverTheOrthogonalGroup) {
  constexpr int kDraws = 20000;
  std::mt19937_64 generator(14);
  std::vector<double> entries[3][3];
  double determinants = 0;
  double traces = 0;
  double squared_traces = 0;
  for (int k = 0; k < kDraws; ++k) {
    const Matrix q = OrthonormalColumns(Normals(3, 3, generator));
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) {
        entries[i][j].push_back(q(i, j));
      }
    }
    determinants += q.determinant();
    traces += q.trace();
    squared_traces += q.trace() * q.trace();
  }
  for (auto& row : entries) {
    for (std::vector<double>& values : row) {
      std::sort(values.begin(), values.end());
      double distance = 0;
      for (int k = 0; k < kDraws; ++k) {
        const double probability = (values[static_cast<size_t>(k)] + 1) / 2;
        distance = std::max({distance, probability - static_cast<double>(k) / kDraws,
                             static_cast<double>(k + 1) / kDraws - probability});
      }
      // P(sqrt(n) D > x) <= 2 exp(-2 x^2) (Massart), 1e-6 at x = 2.694.
      EXPECT_LT(distance * std::sqrt(kDraws), 2.694);
    }
  }
  // Over the group E det = 0, E trace = 0, E trace^2 = 1, E trace^4 = 3 (Diaconis and Shahshahani,
  // "On the eigenvalues of random matrices", 1994), so the variances are 1, 1 and 2; 5 standard
  // deviations.
  EXPECT_NEAR(determinants / kDraws, 0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(traces / kDraws, 0, 5 / std::sqrt(kDraws));
  EXPECT_NEAR(squared_traces / kDraws, 1, 5 * std::sqrt(2.0 / kDraws));
}

}  // namespace
}  // namespace polyak::engine
