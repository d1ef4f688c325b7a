#include "server/engine/rates/rate_estimator.h"

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/saved_state.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::Damaged;
using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

RateEstimator Fed(const std::vector<double>& values, double floor = 0) {
  RateEstimator rates(floor);
  for (const double value : values) {
    rates.Add(value);
  }
  return rates;
}

std::vector<double> Sequence(int count, const std::function<double(int)>& value) {
  std::vector<double> values;
  for (int t = 0; t < count; ++t) {
    values.push_back(value(t));
  }
  return values;
}

std::vector<double> Geometric(int count, double rate, double start = 1) {
  return Sequence(count, [&](int t) { return start * std::pow(rate, t); });
}

void ExpectSame(const RateEstimate& a, const RateEstimate& b) {
  EXPECT_EQ(std::bit_cast<uint64_t>(a.rate), std::bit_cast<uint64_t>(b.rate));
  EXPECT_EQ(std::bit_cast<uint64_t>(a.standard_error), std::bit_cast<uint64_t>(b.standard_error));
  EXPECT_EQ(a.first_iteration, b.first_iteration);
  EXPECT_EQ(a.last_iteration, b.last_iteration);
  EXPECT_EQ(a.method, b.method);
}

TEST(RateEstimator, FindsAGeometricRateWithItsWindow) {
  const RateEstimate estimate = Fed(Geometric(1000, 0.97)).Windowed();
  // Logarithms of 1,000 values of up to 30 nats: 30 eps over a slope of 0.03.
  EXPECT_NEAR(estimate.rate, 0.97, 1e-12);
  EXPECT_EQ(estimate.method, "windowed regression");
  // 1,000 values are 500 bins of 2; the window is the last 400.
  EXPECT_EQ(estimate.first_iteration, 200);
  EXPECT_EQ(estimate.last_iteration, 999);
  // Only the term 0.15 / W is left of the error: 0.15 / 400 a bin, half that an iteration, times
  // the rate.
  EXPECT_NEAR(estimate.standard_error, 0.97 * 0.15 / 400 / 2, 1e-9);
}

TEST(RateEstimator, NeedsTwentyFourBins) {
  EXPECT_EQ(Fed(Geometric(23, 0.5)).Windowed().method, "window too short");
  EXPECT_FALSE(Fed(Geometric(23, 0.5)).Windowed().valid());
  EXPECT_TRUE(Fed(Geometric(24, 0.5)).Windowed().valid());
  EXPECT_FALSE(Fed(Geometric(23, 0.5)).PlainLine().valid());
  EXPECT_TRUE(Fed(Geometric(24, 0.5)).PlainLine().valid());
}

TEST(RateEstimator, NeedsFiveNatsOfDecayInTheWindow) {
  // 100 values, 80 in the window: 80 x 0.062 = 4.96 nats, 80 x 0.063 = 5.04.
  const RateEstimate shallow = Fed(Geometric(100, std::exp(-0.062))).Windowed();
  EXPECT_FALSE(shallow.valid());
  EXPECT_EQ(shallow.method, "window too short");
  EXPECT_TRUE(std::isnan(shallow.standard_error));
  EXPECT_TRUE(Fed(Geometric(100, std::exp(-0.063))).Windowed().valid());
}

TEST(RateEstimator, RefusesARateWithinFourErrorsOfNone) {
  // Falls by 60 nats, then stands still: windows disagree by more than a quarter of the slope.
  const RateEstimate estimate = Fed(Sequence(400, [](int t) {
                                  return t < 200 ? std::exp(-0.3 * t) : std::exp(-60.0);
                                })).Windowed();
  EXPECT_FALSE(estimate.valid());
  EXPECT_EQ(estimate.method, "window too short");
}

TEST(RateEstimator, RefusesAGrowingSequence) {
  EXPECT_FALSE(Fed(Geometric(300, 1.2)).Windowed().valid());
  EXPECT_NEAR(Fed(Geometric(300, 1.2)).PlainLine().rate, 1.2, 1e-12);  // 55 nats of eps each
}

TEST(RateEstimator, FindsTheRateOfADoubleRootWhereALineDoesNot) {
  for (const double rate : {0.9, 0.99, 0.999}) {
    const int count = static_cast<int>(34 / (1 - rate));  // down to about 1e-13
    const RateEstimator rates =
        Fed(Sequence(count, [&](int t) { return (1 + (1 - rate) * 10 * t) * std::pow(rate, t); }));
    const RateEstimate estimate = rates.Windowed();
    EXPECT_EQ(estimate.method, "windowed regression with a power of t");
    EXPECT_NEAR(estimate.rate, rate, 2 * estimate.standard_error);
    EXPECT_NEAR(estimate.rate, rate, 0.01 * (1 - rate));
    // log(1 + c t) bends like log t, so a line is off by about log 5 over the 27 nats of the
    // window.
    EXPECT_GT(std::abs(rates.PlainLine().rate - rate), 0.03 * (1 - rate));
    EXPECT_EQ(rates.PlainLine().method, "plain line");
    EXPECT_TRUE(std::isnan(rates.PlainLine().standard_error));
  }
}

TEST(RateEstimator, AveragesAnOscillationAndCallsItNoPower) {
  // One period takes 1.8 nats, as Polyak's momentum at the theorem's parameters.
  const double rate = 0.99;
  const double frequency = 2 * std::acos(-1.0) * -std::log(rate) / 1.8;
  const RateEstimate estimate = Fed(Sequence(3000, [&](int t) {
                                  return std::pow(rate, t) * (1.2 + std::cos(frequency * t));
                                })).Windowed();
  EXPECT_EQ(estimate.method, "windowed regression");
  EXPECT_NEAR(estimate.rate, rate,
              0.01 * (1 - rate));  // docs/theory.md, section 6, with 13 periods
  EXPECT_NEAR(estimate.rate, rate, 2 * estimate.standard_error);
}

TEST(RateEstimator, ForgetsATransientGrowth) {
  const RateEstimator rates = Fed(Sequence(2000, [](int t) {
    return t < 50 ? std::pow(1.1, t) : std::pow(1.1, 50) * std::pow(0.98, t - 50);
  }));
  EXPECT_NEAR(rates.Windowed().rate, 0.98,
              1e-12);  // the growth is before the window: rounding alone
  EXPECT_NEAR(rates.peak_ratio(), std::pow(1.1, 50), 1e-10);
  EXPECT_EQ(rates.peak_iteration(), 50);
}

TEST(RateEstimator, EndsAtTheRoundingFloorForGood) {
  // Noise at 1e-14 under a floor of 1e-12, which the sequence meets at t = 900 and then leaves
  // again.
  const double rate = std::exp(-std::log(1e12) / 900);
  RateEstimator rates(1e-12);
  RateEstimate before;
  for (int t = 0; t < 5000; ++t) {
    const double noise = 1e-14 * (2 + std::sin(t * 1.7));
    rates.Add(t < 2000 ? std::pow(rate, t) * (1 - 1e-12) + noise : 1e-3);
    if (t == 905) {
      before = rates.Windowed();
    }
  }
  ASSERT_TRUE(before.valid());
  EXPECT_LT(before.last_iteration, 910);
  ExpectSame(before, rates.Windowed());
  // Noise of 3e-14 against p > 1e-12 moves log p by at most 0.03, at the end, where weights vanish.
  EXPECT_NEAR(rates.Windowed().rate, rate, 0.01 * (1 - rate));
  EXPECT_EQ(rates.column(), rates.Windowed().rate);
  // What is not a fit goes on.
  EXPECT_EQ(rates.Quotient().rate, 1);
}

TEST(RateEstimator, AValueAtTheFloorIsNotUsed) {
  std::vector<double> values = Geometric(40, 0.5);
  const RateEstimate before = Fed(values, 1e-30).Windowed();
  values.push_back(1e-30);
  values.push_back(1e-20);
  ExpectSame(before, Fed(values, 1e-30).Windowed());
}

TEST(RateEstimator, ZeroNaNAndInfinityCloseTheDataOfTheFits) {
  for (const double last : {0.0, kNaN, kInfinity}) {
    std::vector<double> values = Geometric(40, 0.5);
    const RateEstimate before = Fed(values).Windowed();
    values.push_back(last);
    values.insert(values.end(), 200, 1.0);
    ExpectSame(before, Fed(values).Windowed());
  }
}

TEST(RateEstimator, ConvergenceInOneStepIsTooShort) {
  // Gradient descent at kappa = 1: xi_1 = 0.
  const RateEstimator rates = Fed({std::sqrt(2.0), 1, 0});
  EXPECT_EQ(rates.Windowed().method, "window too short");
  EXPECT_EQ(rates.PlainLine().method, "window too short");
  EXPECT_EQ(rates.Overall().rate, 0);
  EXPECT_EQ(rates.Quotient().rate, 0);
  EXPECT_TRUE(std::isnan(rates.column()));
  EXPECT_EQ(rates.peak_ratio(), 1);
}

TEST(RateEstimator, OneOrNoValueHasNoRate) {
  for (const std::vector<double>& values : {std::vector<double>{}, {3.0}, {0.0}}) {
    const RateEstimator rates = Fed(values);
    EXPECT_EQ(rates.Windowed().method, "window too short");
    EXPECT_EQ(rates.PlainLine().method, "window too short");
    EXPECT_EQ(rates.Overall().method, "too few iterations");
    EXPECT_EQ(rates.Quotient().method, "too few iterations");
    EXPECT_FALSE(rates.Overall().valid());
    EXPECT_FALSE(rates.Quotient().valid());
    EXPECT_EQ(rates.peak_ratio(), 1);
  }
}

TEST(RateEstimator, OverallAndQuotientSayWhatTheyAre) {
  const RateEstimator rates = Fed({8, 4, 4, 1});
  EXPECT_DOUBLE_EQ(rates.Overall().rate, 0.5);  // (1 / 8)^(1/3)
  EXPECT_EQ(rates.Overall().first_iteration, 0);
  EXPECT_EQ(rates.Overall().last_iteration, 3);
  EXPECT_EQ(rates.Overall().method, "overall geometric mean");
  EXPECT_EQ(rates.Quotient().rate, 0.25);
  EXPECT_EQ(rates.Quotient().first_iteration, 2);
  EXPECT_EQ(rates.Quotient().last_iteration, 3);
  EXPECT_EQ(rates.Quotient().method, "last quotient");
}

TEST(RateEstimator, ExtremeValuesAreFitted) {
  for (const double start : {1e200, 1e-200}) {
    const RateEstimator rates = Fed(Geometric(200, 0.9, start));
    EXPECT_NEAR(rates.Windowed().rate, 0.9, 1e-11);  // 460 nats of eps, over 200 values
    EXPECT_NEAR(rates.Overall().rate, 0.9, 1e-14);
  }
  EXPECT_NEAR(Fed({1e200, 1e-200}).Overall().rate, 0, 1e-300);
  EXPECT_NEAR(Fed({1e150, 1, 1e-250}).Overall().rate, 1e-200, 1e-210);
}

TEST(RateEstimator, ThePeakIsTheFirstOfTheLargestAndSkipsNaN) {
  const RateEstimator rates = Fed({2, 5, 1, 5, kNaN, 4});
  EXPECT_EQ(rates.peak_ratio(), 2.5);
  EXPECT_EQ(rates.peak_iteration(), 1);
}

TEST(RateEstimator, TheColumnIsRefreshedWhenTHasGrownBySixteenthAndHeldBetween) {
  RateEstimator rates(0);
  int64_t refreshed = 23;
  double held = kNaN;
  for (int t = 0; t < 4000; ++t) {
    rates.Add(std::pow(0.98, t) * (2 + std::sin(0.37 * t)));
    if (t < 23) {
      EXPECT_TRUE(std::isnan(rates.column())) << t;
    } else if (t == refreshed || 16 * (t - refreshed) >= refreshed) {
      refreshed = t;
      held = rates.Windowed().rate;
    }
    EXPECT_EQ(std::bit_cast<uint64_t>(rates.column()), std::bit_cast<uint64_t>(held)) << t;
  }
  EXPECT_TRUE(rates.Windowed().valid());
}

TEST(RateEstimator, AskingChangesNothing) {
  const std::vector<double> values =
      Sequence(3000, [](int t) { return std::pow(0.99, t) * (2 + std::cos(0.05 * t)); });
  const RateEstimator silent = Fed(values);
  RateEstimator asked(0);
  for (const double value : values) {
    asked.Add(value);
    asked.PlainLine();
    asked.Overall();
    asked.Windowed();
  }
  ExpectSame(silent.Windowed(), asked.Windowed());
  ExpectSame(silent.PlainLine(), asked.PlainLine());
  EXPECT_EQ(silent.column(), asked.column());
}

TEST(RateEstimator, ALongRunKeepsAtMostFiveHundredAndTwelveBins) {
  // 100,000 values: bins of 256 (390 of them), the last 160 values in none yet.
  const RateEstimate estimate = Fed(Geometric(100000, 0.9999)).Windowed();
  EXPECT_EQ(estimate.last_iteration, 390 * 256 - 1);
  EXPECT_EQ(estimate.first_iteration, 78 * 256);
  EXPECT_NEAR(estimate.rate, 0.9999, 1e-13);  // 10 nats of eps over 100,000 values
}

// Grows, oscillates, decays, and ends at its floor.
std::vector<double> LongSequence(int count) {
  return Sequence(count, [](int t) {
    return (1 + 0.5 * t) * std::pow(0.995, t) * (1.2 + std::cos(0.05 * t)) + 1e-9;
  });
}

TEST(RateEstimator, GoesOnToTheBitFromASavedStateWhereverItIsCut) {
  const std::vector<double> values = LongSequence(6000);  // merges its bins four times
  for (const size_t cut : {0, 1, 23, 24, 511, 512, 513, 1777, 5999}) {
    RateEstimator whole(1e-8);
    RateEstimator loaded(0);  // the floor is the saved one
    for (size_t t = 0; t < values.size(); ++t) {
      if (t == cut) {
        ASSERT_TRUE(LoadState(loaded, StateOf(whole)).ok());
        ASSERT_EQ(StateOf(loaded), StateOf(whole));
      }
      whole.Add(values[t]);
      if (t >= cut) {
        loaded.Add(values[t]);
        ASSERT_EQ(std::bit_cast<uint64_t>(loaded.column()),
                  std::bit_cast<uint64_t>(whole.column()));
      }
    }
    ExpectSame(loaded.Windowed(), whole.Windowed());
    ExpectSame(loaded.PlainLine(), whole.PlainLine());
    ExpectSame(loaded.Overall(), whole.Overall());
    ExpectSame(loaded.Quotient(), whole.Quotient());
    EXPECT_EQ(loaded.peak_ratio(), whole.peak_ratio());
    EXPECT_EQ(loaded.peak_iteration(), whole.peak_iteration());
    EXPECT_EQ(StateOf(loaded), StateOf(whole));
  }
}

TEST(RateEstimator, KeepsThatItsDataAreClosed) {
  RateEstimator whole(1e-3);
  for (const double value : {1.0, 0.5, 1e-4, kNaN, kInfinity}) {
    whole.Add(value);
  }
  RateEstimator loaded(0);
  ASSERT_TRUE(LoadState(loaded, StateOf(whole)).ok());
  whole.Add(0.25);
  loaded.Add(0.25);
  EXPECT_EQ(StateOf(loaded), StateOf(whole));
}

TEST(RateEstimator, RefusesAStateWhoseCountsDoNotFit) {
  const std::string state = StateOf(Fed(LongSequence(1500)));
  // Of the 8-byte numbers after the bins; what is put there; every one alone is impossible.
  const size_t bins = 8 * static_cast<size_t>(state[8]) + 8 * 256 * static_cast<size_t>(state[9]);
  const auto with = [&](size_t number, int64_t value) {
    std::string changed = state;
    changed.replace(16 + bins + 8 * number, 8, reinterpret_cast<const char*>(&value), 8);
    return changed;
  };
  RateEstimator rates(0);
  ASSERT_TRUE(LoadState(rates, state).ok());
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, with(0, 3))));  // a width
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, with(0, int64_t{1} << 62))));
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, with(1, 4))));  // values in a bin
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, with(2, int64_t{0x7ff} << 52))));  // their sum
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, with(3, 2))));                     // closed
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, with(4, 1499))));                  // values seen
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, with(5, 1499))));  // the next refresh
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, with(10, 1501))) ||
              absl::IsDataLoss(LoadState(rates, with(11, 1501))));  // the peak's iteration
}

TEST(RateEstimator, RefusesMoreBinsThanItHasBeforeItMakesRoom) {
  std::string state = StateOf(Fed(LongSequence(100)));
  const int64_t bins = int64_t{1} << 40;
  state.replace(8, 8, reinterpret_cast<const char*>(&bins), 8);
  RateEstimator rates(0);
  EXPECT_TRUE(absl::IsDataLoss(LoadState(rates, state)));
}

TEST(RateEstimator, DoesNothingStrangeWithWhatItAcceptsOfDamagedStates) {
  std::mt19937_64 random(20240611);
  const std::string state = StateOf(Fed(LongSequence(1500)));
  for (int k = 0; k < 3000; ++k) {
    RateEstimator rates(0);
    if (LoadState(rates, Damaged(state, random)).ok()) {
      for (int t = 0; t < 300; ++t) {
        rates.Add(1);
      }
      rates.Windowed();
      rates.PlainLine();
    }
  }
}

}  // namespace
}  // namespace polyak::engine
