#include "server/engine/linalg/tridiagonal_form.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/linalg/symmetric_samples.h"

namespace polyak::engine {
namespace {

Matrix Whole(const TridiagonalForm& form) {
  Matrix matrix = form.diagonal().asDiagonal();
  matrix.diagonal(1) = form.off_diagonal();
  matrix.diagonal(-1) = form.off_diagonal();
  return matrix;
}

TEST(TridiagonalForm, IsTheMatrixInOtherOrthogonalCoordinates) {
  for (const Eigen::Index dimension : {1, 2, 3, 4, 31, 32, 33, 34, 35, 64, 65, 66, 150}) {
    const Matrix matrix = IrregularSymmetric(dimension);
    const TridiagonalForm form(matrix);
    ASSERT_EQ(form.dimension(), dimension);
    Matrix q(dimension, dimension);
    for (Eigen::Index k = 0; k < dimension; ++k) {
      q.col(k) = form.Combination(Vector::Unit(dimension, k));
    }
    const double rounding = ReductionRounding(dimension, 1);
    EXPECT_LE((q.transpose() * q - Matrix::Identity(dimension, dimension)).norm(), rounding);
    EXPECT_LE((q * Whole(form) * q.transpose() - matrix).norm(), rounding * matrix.norm())
        << dimension;
    const Vector x = IrregularVector(dimension, 0.9);
    EXPECT_LE((form.Coordinates(x) - q.transpose() * x).norm(), rounding * x.norm());
  }
}

TEST(TridiagonalForm, HasTheSameBitsFromEveryWidthOfRegisters) {
  const Matrix matrix = IrregularSymmetric(171);
  const TridiagonalForm narrow(matrix, *KernelsVersion(0));
  const Vector x = IrregularVector(171, 0.9);
  for (int version = 1; KernelsVersion(version) != nullptr; ++version) {
    const TridiagonalForm form(matrix, *KernelsVersion(version));
    EXPECT_EQ(form.diagonal(), narrow.diagonal()) << KernelsVersion(version)->name;
    EXPECT_EQ(form.off_diagonal(), narrow.off_diagonal());
    EXPECT_EQ(form.Coordinates(x), narrow.Coordinates(x));
  }
}

TEST(TridiagonalForm, ScalesExactlyByPowersOfTwo) {
  const Matrix matrix = IrregularSymmetric(70);
  const TridiagonalForm form(matrix);
  for (const double unit : {0x1p-900, 0x1p900}) {
    const TridiagonalForm scaled(unit * matrix);
    EXPECT_EQ(scaled.diagonal() / unit, form.diagonal()) << unit;
    EXPECT_EQ(scaled.off_diagonal() / unit, form.off_diagonal()) << unit;
  }
}

TEST(TridiagonalForm, ReadsTheLowerTriangleOnly) {
  Matrix matrix = IrregularSymmetric(70);
  const TridiagonalForm expected(matrix);
  matrix.triangularView<Eigen::StrictlyUpper>().setConstant(7);
  const TridiagonalForm form(matrix);
  EXPECT_EQ(form.diagonal(), expected.diagonal());
  EXPECT_EQ(form.off_diagonal(), expected.off_diagonal());
}

// Entries whose squares are not normal numbers: what is 32 off the diagonal stands alone in its
// column, and no digits are left of its square.
TEST(TridiagonalForm, IsOrthogonalWhereEntriesAreTinyBesideOthers) {
  constexpr Eigen::Index kDimension = 200;
  for (const double decay : {0.3600, 0.3625, 0.3632}) {
    Matrix matrix(kDimension, kDimension);
    for (Eigen::Index j = 0; j < kDimension; ++j) {
      for (Eigen::Index i = 0; i < kDimension; ++i) {
        matrix(i, j) = std::exp(-decay * static_cast<double>((i - j) * (i - j)));
      }
    }
    const TridiagonalForm form(matrix);
    const double rounding = ReductionRounding(kDimension, 1);
    for (const Eigen::Index k : {0, 31, 32, 33, 100, 199}) {
      EXPECT_NEAR(form.Combination(Vector::Unit(kDimension, k)).norm(), 1, rounding) << decay;
    }
    EXPECT_NEAR(form.diagonal().sum(), matrix.trace(), rounding * kDimension) << decay;
    EXPECT_NEAR(Whole(form).norm(), matrix.norm(), rounding * matrix.norm()) << decay;
  }
}

TEST(TridiagonalForm, OfZeroIsZero) {
  const TridiagonalForm form(Matrix::Zero(50, 50));
  EXPECT_TRUE(form.diagonal().isZero(0));
  EXPECT_TRUE(form.off_diagonal().isZero(0));
}

}  // namespace
}  // namespace polyak::engine
