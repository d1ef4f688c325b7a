#include <algorithm>
#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "server/engine/problems/quadratic.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr SpectrumShape kShapes[] = {SpectrumShape::kUniform, SpectrumShape::kLogUniform,
                                     SpectrumShape::kTwoClusters, SpectrumShape::kChebyshev};

// Values of hand: a formula rounds a few times.
void ExpectSpectrum(const GeneratedSpectrumSpec& spec, const Vector& expected) {
  const Vector eigenvalues = GenerateSpectrum(spec);
  ASSERT_EQ(eigenvalues.size(), expected.size());
  for (Eigen::Index i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(eigenvalues(i), expected(i), 4 * kEpsilon * spec.smoothness) << i;
  }
}

TEST(GenerateSpectrum, SpreadsUniformly) {
  ExpectSpectrum({5, 5, 10, SpectrumShape::kUniform}, Vector{{2, 4, 6, 8, 10}});
}

TEST(GenerateSpectrum, SpreadsByEqualFactors) {
  ExpectSpectrum({5, 16, 32, SpectrumShape::kLogUniform}, Vector{{2, 4, 8, 16, 32}});
}

TEST(GenerateSpectrum, MakesTwoClustersTheSmallerOneBelow) {
  ExpectSpectrum({5, 4, 8, SpectrumShape::kTwoClusters}, Vector{{2, 2, 8, 8, 8}});
  ExpectSpectrum({4, 4, 8, SpectrumShape::kTwoClusters}, Vector{{2, 2, 8, 8}});
}

TEST(GenerateSpectrum, CrowdsAtBothEndsLikeChebyshev) {
  const double root = std::sqrt(3.0) / 2;  // cos(pi / 6)
  ExpectSpectrum({7, 3, 3, SpectrumShape::kChebyshev},
                 Vector{{1, 2 - root, 1.5, 2, 2.5, 2 + root, 3}});
}

TEST(GenerateSpectrum, AscendsBetweenExactEnds) {
  for (const SpectrumShape shape : kShapes) {
    for (const double kappa : {1.0, 2.0, 3.7, 1e8}) {
      for (const int64_t dimension : {2, 3, 10, 1001}) {
        const double smoothness = 0.3;
        const Vector eigenvalues = GenerateSpectrum({dimension, kappa, smoothness, shape});
        ASSERT_EQ(eigenvalues.size(), dimension);
        EXPECT_EQ(eigenvalues(0), smoothness / kappa);
        EXPECT_EQ(eigenvalues(dimension - 1), smoothness);
        // Neighbours that are equal by the formula (kappa = 1) may differ by its rounding.
        for (Eigen::Index i = 1; i < dimension; ++i) {
          EXPECT_GE(eigenvalues(i), eigenvalues(i - 1) * (1 - 4 * kEpsilon));
        }
      }
    }
  }
}

TEST(GenerateSpectrum, HasOneEigenvalueInOneDimension) {
  for (const SpectrumShape shape : kShapes) {
    const Vector eigenvalues = GenerateSpectrum({1, 1, 2.5, shape});
    ASSERT_EQ(eigenvalues.size(), 1);
    EXPECT_EQ(eigenvalues(0), 2.5);
  }
}

}  // namespace
}  // namespace polyak::engine
