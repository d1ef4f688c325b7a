#include "server/engine/problems/diagnostics.h"

#include <Eigen/Eigenvalues>

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "server/engine/linalg/symmetric_spectrum.h"
#include "tests/support/problems.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

TEST(DescribeGram, GivesTheEndsOfTheSpectrumAndTheirQuotient) {
  for (const Eigen::Index size : {1, 2, 5, 33, 140}) {
    const Matrix factor = testing_support::NormalEntries(size, size, size + 3);
    const Matrix gram = factor * factor.transpose();
    const Vector eigenvalues =
        Eigen::SelfAdjointEigenSolver<Matrix>(gram, Eigen::EigenvaluesOnly).eigenvalues();
    Diagnostics diagnostics;
    DescribeGram(gram, diagnostics);
    // Both algorithms are backward stable: a few d eps of the largest.
    const double tolerance =
        10 * static_cast<double>(size) * kEpsilon * eigenvalues(eigenvalues.size() - 1);
    EXPECT_NEAR(diagnostics.smallest_eigenvalue, eigenvalues(0), tolerance) << size;
    EXPECT_NEAR(diagnostics.largest_eigenvalue, eigenvalues(eigenvalues.size() - 1), tolerance);
    EXPECT_EQ(diagnostics.condition_number,
              diagnostics.largest_eigenvalue / diagnostics.smallest_eigenvalue);
    EXPECT_TRUE(std::isnan(diagnostics.flipped_share));
    EXPECT_TRUE(std::isnan(diagnostics.distance_from_start));
  }
}

TEST(DescribeGram, OfASingularMatrixIsNeverBelowZeroAndHasNoFiniteConditionNumber) {
  for (int64_t seed = 1; seed <= 20; ++seed) {
    const Matrix factor = testing_support::NormalEntries(seed, 12, 5);
    Diagnostics diagnostics;
    DescribeGram(factor * factor.transpose(), diagnostics);
    EXPECT_GE(diagnostics.smallest_eigenvalue, 0);
    EXPECT_GT(diagnostics.largest_eigenvalue, 1);
    EXPECT_EQ(diagnostics.condition_number, std::numeric_limits<double>::infinity());
  }
  Diagnostics of_zero;
  DescribeGram(Matrix::Zero(3, 3), of_zero);
  EXPECT_EQ(of_zero.largest_eigenvalue, 0);
  EXPECT_EQ(of_zero.condition_number, std::numeric_limits<double>::infinity());
}

TEST(DescribeGram, OfNumbersThatAreNotFiniteIsNotKnown) {
  for (const double value : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Matrix gram = Matrix::Identity(4, 4);
    gram(2, 1) = gram(1, 2) = value;
    Diagnostics diagnostics;
    DescribeGram(gram, diagnostics);
    EXPECT_TRUE(std::isnan(diagnostics.smallest_eigenvalue));
    EXPECT_TRUE(std::isnan(diagnostics.largest_eigenvalue));
    EXPECT_TRUE(std::isnan(diagnostics.condition_number));
  }
}

TEST(AddKroneckerProduct, AddsEveryProductOfTwoEntriesWhereItBelongs) {
  const Matrix a = testing_support::NormalEntries(1, 3, 3);
  const Matrix b = testing_support::NormalEntries(2, 2, 2);
  Matrix sum = Matrix::Ones(6, 6);
  AddKroneckerProduct(a, b, sum);
  for (Eigen::Index i = 0; i < 6; ++i) {
    for (Eigen::Index j = 0; j < 6; ++j) {
      EXPECT_EQ(sum(i, j), 1 + a(i / 2, j / 2) * b(i % 2, j % 2));
    }
  }
}

}  // namespace
}  // namespace polyak::engine
