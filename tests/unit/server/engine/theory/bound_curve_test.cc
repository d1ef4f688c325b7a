#include "server/engine/theory/bound_curve.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

BoundSpec Bound(double constant, double rate, bool on_stacked_norm) {
  BoundSpec bound;
  bound.constant = constant;
  bound.rate = rate;
  bound.on_stacked_norm = on_stacked_norm;
  return bound;
}

TEST(BoundCurve, IsTheConstantTimesThePowerTimesTheStart) {
  EXPECT_DOUBLE_EQ(BoundCurve(Bound(3, 0.5, false), 4).At(2), 3.0);
  EXPECT_DOUBLE_EQ(BoundCurve(Bound(3, 0.5, true), 4).At(2), 3.0 * std::sqrt(2.0));
}

TEST(BoundCurve, IsThePowerToRoundingAtEveryIteration) {
  const double rate = 0.9996;
  BoundCurve curve(Bound(7, rate, false), 0.3);
  for (int64_t t = 0; t < 100'000; ++t) {
    const double power = std::pow(rate, static_cast<double>(t));
    // Two powers, each to one unit in the last place, and three products.
    EXPECT_NEAR(curve.At(t), 7 * 0.3 * power,
                5 * std::numeric_limits<double>::epsilon() * 7 * 0.3 * power);
  }
}

TEST(BoundCurve, DoesNotDependOnWhatWasAskedForBefore) {
  const BoundSpec bound = Bound(7, 0.9996, true);
  BoundCurve curve(bound, 0.3);
  for (const int64_t t : {63, 64, 0, 5000, 127, 128, 65, 1'000'000, 64}) {
    EXPECT_EQ(curve.At(t), BoundCurve(bound, 0.3).At(t)) << t;
  }
}

TEST(BoundCurve, ReachesZeroAndStaysThere) {
  BoundCurve curve(Bound(1, 0.5, false), 1);
  EXPECT_GT(curve.At(1000), 0);
  EXPECT_EQ(curve.At(2000), 0);
  EXPECT_EQ(curve.At(int64_t{1} << 50), 0);
  EXPECT_EQ(BoundCurve(Bound(1, 0, false), 1).At(0), 1);
  EXPECT_EQ(BoundCurve(Bound(1, 0, false), 1).At(64), 0);
}

TEST(BoundCurve, IsNotANumberWhereNoTheoremApplies) {
  BoundCurve curve(BoundSpec{}, 4);
  EXPECT_TRUE(std::isnan(curve.At(0)));
  EXPECT_TRUE(std::isnan(curve.At(1)));
  BoundSpec without_rate;
  without_rate.constant = 1;
  EXPECT_TRUE(std::isnan(BoundCurve(without_rate, 4).At(0)));
}

}  // namespace
}  // namespace polyak::engine
