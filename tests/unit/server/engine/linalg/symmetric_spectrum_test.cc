#include "server/engine/linalg/symmetric_spectrum.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// Deterministic numbers in [-1, 1] without a pattern.
Vector Irregular(Eigen::Index size, double phase) {
  Vector vector(size);
  for (Eigen::Index i = 0; i < size; ++i) {
    const auto k = static_cast<double>(i);
    vector(i) = std::sin(12.9898 * k * k + 78.233 * k + phase);
  }
  return vector;
}

// Q diag(eigenvalues) Q' with Q a product of four reflections: exactly orthogonal but for rounding,
// dense, O(d^2) to apply.
Matrix WithEigenvalues(const Vector& eigenvalues) {
  const Eigen::Index dimension = eigenvalues.size();
  Matrix matrix = eigenvalues.asDiagonal();
  for (int k = 0; k < 4; ++k) {
    const Vector u = Irregular(dimension, k).normalized();
    const Vector product = matrix * u;
    const double form = u.dot(product);
    matrix -= 2 * (u * product.transpose() + product * u.transpose());
    matrix += 4 * form * u * u.transpose();
  }
  return 0.5 * (matrix + matrix.transpose());
}

Vector LogUniform(Eigen::Index dimension, double smallest, double largest) {
  Vector eigenvalues(dimension);
  for (Eigen::Index i = 0; i < dimension; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(dimension - 1);
    eigenvalues(i) = smallest * std::pow(largest / smallest, share);
  }
  return eigenvalues;
}

// Rounding of a symmetric eigenvalue problem, by the limit of LAPACK's own test programs: ratios
// below 30 of d eps |H| for |A - Q L Q'| and of d eps for |Q'Q - I|. Every eigenvalue moves by no
// more (Weyl).
double Rounding(Eigen::Index dimension, double norm) {
  return 30 * static_cast<double>(dimension) * kEpsilon * norm;
}

constexpr Eigen::Index kLarge = kFullSpectrumDimensionMax + 1;

TEST(SymmetricSpectrum, OfASmallMatrixIsCompleteAscendingAndRight) {
  for (const Eigen::Index dimension : {2, 3, 17, 120}) {
    const Vector eigenvalues = LogUniform(dimension, 1e-6, 3);
    const auto spectrum = ComputeSymmetricSpectrum(WithEigenvalues(eigenvalues));
    ASSERT_TRUE(spectrum.ok());
    ASSERT_EQ(spectrum->eigenvalues.size(), dimension);
    const double rounding = Rounding(dimension, 3);
    EXPECT_LE((spectrum->eigenvalues - eigenvalues).cwiseAbs().maxCoeff(), rounding);
    EXPECT_TRUE(std::is_sorted(spectrum->eigenvalues.begin(), spectrum->eigenvalues.end()));
    EXPECT_EQ(spectrum->smallest(), spectrum->eigenvalues(0));
    EXPECT_EQ(spectrum->largest(), spectrum->eigenvalues(dimension - 1));
  }
}

TEST(SymmetricSpectrum, EigenvectorsAreOrthonormalAndBelongToTheirEigenvalues) {
  const Eigen::Index dimension = 60;
  const Matrix matrix = WithEigenvalues(Irregular(dimension, 0.5));  // both signs
  const auto spectrum = ComputeSymmetricSpectrum(matrix);
  ASSERT_TRUE(spectrum.ok());
  ASSERT_TRUE(spectrum->eigenvectors.has_value());
  const Matrix& q = *spectrum->eigenvectors;
  const double rounding = Rounding(dimension, 1);
  EXPECT_LE((q.transpose() * q - Matrix::Identity(dimension, dimension)).norm(), rounding);
  EXPECT_LE((matrix * q - q * spectrum->eigenvalues.asDiagonal()).norm(), rounding);
}

TEST(SymmetricSpectrum, OfOneNumberIsThatNumber) {
  for (const double value : {-2.5, 0.0, 1e-300}) {
    const auto spectrum = ComputeSymmetricSpectrum(Matrix::Constant(1, 1, value));
    ASSERT_TRUE(spectrum.ok());
    EXPECT_EQ(spectrum->smallest(), value);
    EXPECT_EQ(spectrum->largest(), value);
    EXPECT_EQ((*spectrum->eigenvectors)(0, 0), 1);
  }
}

TEST(SymmetricSpectrum, ReadsTheLowerTriangleOnly) {
  Matrix matrix = WithEigenvalues(LogUniform(20, 0.01, 1));
  const auto expected = ComputeSymmetricSpectrum(matrix);
  matrix.triangularView<Eigen::StrictlyUpper>().setConstant(7);
  const auto spectrum = ComputeSymmetricSpectrum(matrix);
  ASSERT_TRUE(expected.ok() && spectrum.ok());
  EXPECT_EQ(spectrum->eigenvalues, expected->eigenvalues);
}

TEST(SymmetricSpectrum, OfTheLargestFullDimensionStillHasAllEigenvalues) {
  // Diagonal, so that it is quick: nothing is left to reduce.
  const Vector eigenvalues = LogUniform(kFullSpectrumDimensionMax, 1e-3, 1);
  const auto spectrum = ComputeSymmetricSpectrum(eigenvalues.asDiagonal());
  ASSERT_TRUE(spectrum.ok());
  EXPECT_EQ(spectrum->eigenvalues.size(), kFullSpectrumDimensionMax);
  EXPECT_TRUE(spectrum->eigenvectors.has_value());
}

// Both ends of a large matrix: the error of the smallest eigenvalue is that of the whole matrix,
// so relative to it it is kappa times larger.
void ExpectEnds(const Matrix& matrix, double smallest, double largest) {
  const auto spectrum = ComputeSymmetricSpectrum(matrix);
  ASSERT_TRUE(spectrum.ok());
  ASSERT_EQ(spectrum->eigenvalues.size(), 2);
  EXPECT_FALSE(spectrum->eigenvectors.has_value());
  const double norm = std::max(std::abs(smallest), std::abs(largest));
  // Beside the rounding, Lanczos ends at a residual of 1e-13 of the eigenvalue sought.
  const double rounding = Rounding(kLarge, norm) + 1e-13 * norm;
  EXPECT_NEAR(spectrum->largest(), largest, rounding);
  EXPECT_NEAR(spectrum->smallest(), smallest, rounding);
}

TEST(SymmetricSpectrum, OfALargeMatrixHasItsTwoEnds) {
  ExpectEnds(WithEigenvalues(LogUniform(kLarge, 1e-4, 1)), 1e-4, 1);
}

TEST(SymmetricSpectrum, OfALargeMatrixIsAccurateRelativeToItsSmallestEigenvalueToo) {
  // A diagonal matrix has no rounding of its own: what is left is the iterations' tolerance.
  const Vector eigenvalues = LogUniform(kLarge, 1e-8, 1);
  const auto spectrum = ComputeSymmetricSpectrum(eigenvalues.asDiagonal());
  ASSERT_TRUE(spectrum.ok());
  EXPECT_NEAR(spectrum->smallest(), 1e-8, 1e-8 * 1e-12);
  EXPECT_NEAR(spectrum->largest(), 1, 1e-12);
}

TEST(SymmetricSpectrum, OfALargeMatrixDoesNotDependOnItsUnit) {
  // Scaling by an even power of two rounds nothing, so the ends scale exactly.
  const Matrix matrix = WithEigenvalues(LogUniform(kLarge, 1e-3, 1));
  const auto spectrum = ComputeSymmetricSpectrum(matrix);
  ASSERT_TRUE(spectrum.ok());
  for (const double unit : {0x1p-60, 0x1p60}) {
    const auto scaled = ComputeSymmetricSpectrum(unit * matrix);
    ASSERT_TRUE(scaled.ok());
    EXPECT_EQ(scaled->smallest() / unit, spectrum->smallest()) << unit;
    EXPECT_EQ(scaled->largest() / unit, spectrum->largest()) << unit;
  }
}

TEST(SymmetricSpectrum, OfALargeMatrixWithOneOrTwoDistinctEigenvaluesIsRight) {
  // Krylov spaces that end after one or two steps.
  ExpectEnds(3 * Matrix::Identity(kLarge, kLarge), 3, 3);
  Vector clusters = Vector::Constant(kLarge, 0.25);
  clusters.tail(kLarge / 2).setConstant(2);
  ExpectEnds(WithEigenvalues(clusters), 0.25, 2);
}

TEST(SymmetricSpectrum, OfALargeIndefiniteMatrixComesFromTheFullIteration) {
  Vector eigenvalues = LogUniform(kLarge, 1e-2, 1);
  eigenvalues(0) = -0.5;
  ExpectEnds(WithEigenvalues(eigenvalues), -0.5, 1);
}

TEST(SymmetricSpectrum, OfALargeSingularMatrixComesFromTheFullIteration) {
  Vector eigenvalues = LogUniform(kLarge, 1e-2, 1);
  eigenvalues.head(3).setZero();
  ExpectEnds(WithEigenvalues(eigenvalues), 0, 1);
}

TEST(SymmetricSpectrum, OfALargeMatrixThatHasAFactorButCountsAsSingularIsStillRight) {
  // Cholesky succeeds on a diagonal 1e-14; the smallest eigenvalue is singular by the contract.
  Vector eigenvalues = LogUniform(kLarge, 1e-2, 1);
  eigenvalues(0) = 1e-14;
  const auto spectrum = ComputeSymmetricSpectrum(eigenvalues.asDiagonal());
  ASSERT_TRUE(spectrum.ok());
  EXPECT_TRUE(IsSingular(spectrum->smallest(), spectrum->largest()));
  EXPECT_FALSE(IsIndefinite(spectrum->smallest(), spectrum->largest()));
  EXPECT_NEAR(spectrum->smallest(), 1e-14, kEpsilon);
}

TEST(IsSingular, HoldsUpToExactly1em13OfTheLargest) {
  for (const double largest : {1e-200, 1.0, 3.7e150}) {
    const double limit = 1e-13 * largest;
    EXPECT_TRUE(IsSingular(limit, largest));
    EXPECT_FALSE(IsSingular(std::nextafter(limit, largest), largest));
    EXPECT_TRUE(IsSingular(0, largest));
    EXPECT_TRUE(IsSingular(-limit, largest));
  }
  EXPECT_TRUE(IsSingular(0, 0));
}

TEST(IsIndefinite, HoldsBelowExactlyMinus1em13OfTheLargest) {
  for (const double largest : {1e-200, 1.0, 3.7e150}) {
    const double limit = -1e-13 * largest;
    EXPECT_FALSE(IsIndefinite(limit, largest));
    EXPECT_TRUE(IsIndefinite(std::nextafter(limit, -largest), largest));
    EXPECT_FALSE(IsIndefinite(0, largest));
  }
}

TEST(IsIndefinite, HoldsForAnyNegativeEigenvalueWhereNoneIsPositive) {
  EXPECT_TRUE(IsIndefinite(-1e-300, 0));
  EXPECT_TRUE(IsIndefinite(-2, -1));
  EXPECT_FALSE(IsIndefinite(0, 0));
}

}  // namespace
}  // namespace polyak::engine
