#include "server/engine/random/normal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

// The quantile in 64-bit-mantissa arithmetic: Newton on the tail's probability, which erfc gives to
// all its digits. Starts at the value under test, so three steps are plenty.
long double ExactQuantile(double probability) {
  // 1 - p is exact for p >= 1/2 in double already.
  const bool upper = probability > 0.5;
  const long double tail = upper ? 1 - static_cast<long double>(probability) : probability;
  long double x = std::abs(NormalQuantile(probability));  // solves P(X > x) = tail
  for (int step = 0; step < 3; ++step) {
    const long double excess = std::erfc(x / std::numbers::sqrt2_v<long double>) / 2 - tail;
    const long double density = std::exp(-x * x / 2) * std::numbers::inv_sqrtpi_v<long double> /
                                std::numbers::sqrt2_v<long double>;
    x += excess / density;
  }
  return upper ? x : -x;
}

// The error that normal.h states.
constexpr double kQuantileError = 1e-15;

void ExpectExact(double probability) {
  const long double exact = ExactQuantile(probability);
  EXPECT_LE(std::abs(NormalQuantile(probability) - exact), kQuantileError * std::abs(exact))
      << "at " << probability;
}

TEST(NormalQuantile, IsRightToItsStatedErrorOverTheMiddle) {
  for (int k = 1; k < 20000; ++k) {
    ExpectExact(k / 20000.0);
  }
}

TEST(NormalQuantile, IsRightToItsStatedErrorAtTheSeamsOfItsThreeRegions) {
  // |p - 1/2| = 0.425, and a tail of e^-25.
  for (const double seam : {0.075, 0.925, std::exp(-25.0), 1 - std::exp(-25.0)}) {
    double below = seam;
    double above = seam;
    for (int k = 0; k < 200; ++k) {
      ExpectExact(below);
      ExpectExact(above);
      below = std::nextafter(below, 0.0);
      above = std::nextafter(above, 1.0);
    }
  }
}

TEST(NormalQuantile, IsRightToItsStatedErrorInTheTailsThatAStreamReaches) {
  // Uniform() is an odd multiple of 2^-53.
  for (double odd = 1; odd < 0x1p52; odd += 2 * std::floor(0.01 * odd + 1)) {
    ExpectExact(odd * 0x1p-53);
    ExpectExact(1 - odd * 0x1p-53);
  }
}

TEST(NormalQuantile, IsRightToItsStatedErrorDownToTheSmallestNormalNumber) {
  for (double probability = 0.07; probability > std::numeric_limits<double>::min();
       probability *= 0.83) {
    ExpectExact(probability);
  }
}

TEST(NormalQuantile, IsZeroAtOneHalfAndOddAboutIt) {
  EXPECT_EQ(NormalQuantile(0.5), 0);
  for (double odd = 1; odd < 0x1p52; odd = 2 * std::floor(odd) + 1) {
    EXPECT_EQ(NormalQuantile(odd * 0x1p-53), -NormalQuantile(1 - odd * 0x1p-53));
  }
}

TEST(NormalQuantile, RunsFromMinusToPlusEightPointTwo) {
  // Quantile of 2^-53, the least value of Uniform().
  EXPECT_NEAR(NormalQuantile(0x1p-53), -8.2095361516013874, 1e-14);
  EXPECT_NEAR(NormalQuantile(1 - 0x1p-53), 8.2095361516013874, 1e-14);
}

// Distance in units of the last place of the exact value.
double UnitsInTheLastPlace(double value, long double exact) {
  const int exponent = std::max(std::ilogb(static_cast<double>(exact)), -1022);
  return static_cast<double>(std::abs(value - exact) / std::ldexp(1.0L, exponent - 52));
}

TEST(PortableLog, IsWithinTwoUnitsInTheLastPlaceOverAllNormalNumbers) {
  for (double x = std::numeric_limits<double>::min(); x < 1e308; x *= 1.0009) {
    ASSERT_LT(UnitsInTheLastPlace(PortableLog(x), std::log(static_cast<long double>(x))), 2) << x;
  }
}

TEST(PortableLog, IsWithinTwoUnitsInTheLastPlaceWhereItsPartsCancel) {
  // Below 1 down to 1/2 the multiple of ln 2 and the rest have opposite signs.
  for (int k = 1; k < 200000; ++k) {
    const double x = 0.5 + k * 7.5e-6;
    ASSERT_LT(UnitsInTheLastPlace(PortableLog(x), std::log(static_cast<long double>(x))), 2) << x;
  }
}

TEST(PortableLog, IsWithinTwoUnitsInTheLastPlaceNearOne) {
  for (int power = -52; power < -1; ++power) {
    for (const double sign : {-1.0, 1.0}) {
      const double x = 1 + sign * std::ldexp(1.0, power);
      ASSERT_LT(UnitsInTheLastPlace(PortableLog(x), std::log(static_cast<long double>(x))), 2) << x;
    }
  }
}

TEST(PortableLog, IsExactAtOne) { EXPECT_EQ(PortableLog(1), 0); }

}  // namespace
}  // namespace polyak::engine
