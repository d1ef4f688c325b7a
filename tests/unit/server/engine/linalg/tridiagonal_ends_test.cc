#include "server/engine/linalg/tridiagonal_ends.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

TEST(TridiagonalEnds, OfTheSecondDifferenceAreTheKnownOnes) {
  for (const Eigen::Index dimension : {1, 2, 10, 1000}) {
    const Vector ends =
        TridiagonalEnds(Vector::Constant(dimension, 2), Vector::Constant(dimension - 1, -1));
    const double angle = std::numbers::pi / static_cast<double>(2 * dimension + 2);
    const double small = 4 * std::sin(angle) * std::sin(angle);
    const double large = 4 * std::cos(angle) * std::cos(angle);
    // Each count is exact for entries that differ by a few units in the last place.
    EXPECT_NEAR(ends(0), small, 8 * kEpsilon * 2);
    EXPECT_NEAR(ends(1), large, 8 * kEpsilon * 4);
  }
}

TEST(TridiagonalEnds, OfADiagonalMatrixAreExactRelativeToThemselves) {
  const Vector diagonal{{3, 1e-8, 0.5}};
  const Vector ends = TridiagonalEnds(diagonal, Vector::Zero(2));
  EXPECT_NEAR(ends(0), 1e-8, 1e-8 * 1e-11);
  EXPECT_NEAR(ends(1), 3, 4 * kEpsilon * 3);
}

TEST(TridiagonalEnds, MayBeNegativeZeroOrVeryLargeAndSmall) {
  EXPECT_EQ(TridiagonalEnds(Vector::Zero(3), Vector::Zero(2)), Vector::Zero(2));
  for (const double unit : {0x1p-1000, 1.0, 0x1p1000}) {
    const Vector ends =
        TridiagonalEnds(unit * Vector{{1, 1}}, unit * Vector::Constant(1, 2.0));  // -1 and 3
    EXPECT_NEAR(ends(0) / unit, -1, 8 * kEpsilon);
    EXPECT_NEAR(ends(1) / unit, 3, 8 * kEpsilon);
  }
}

TEST(TridiagonalEnds, OfASingularMatrixAreWithinRoundingOfZero) {
  const Vector ends = TridiagonalEnds(Vector{{1, 1}}, Vector::Constant(1, 1.0));
  EXPECT_NEAR(ends(0), 0, 4 * kEpsilon);
  EXPECT_NEAR(ends(1), 2, 4 * kEpsilon);
}

}  // namespace
}  // namespace polyak::engine
