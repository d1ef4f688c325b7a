#include "server/engine/theory/certificate.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/saved_state.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

BoundSpec Bound(double constant, double rate, bool on_stacked_norm = true) {
  BoundSpec bound;
  bound.constant = constant;
  bound.rate = rate;
  bound.on_stacked_norm = on_stacked_norm;
  bound.theorem = "T7";
  return bound;
}

Assumption Is(Assumption::Status status) { return {"condition", 1, 2, status, "A condition."}; }

// Feeds |xi_t| = values[t], with p_t as a trainer forms it.
Certificate Feed(CertificateChecker& checker, const std::vector<double>& values) {
  double previous = values[0];
  for (size_t t = 0; t < values.size(); ++t) {
    checker.Add(static_cast<int64_t>(t), values[t], std::hypot(values[t], previous));
    previous = values[t];
  }
  return checker.certificate();
}

std::vector<double> Geometric(double start, double rate, int count) {
  std::vector<double> values;
  for (int t = 0; t < count; ++t) {
    values.push_back(start * std::pow(rate, t));
  }
  return values;
}

TEST(CertificateChecker, PassesARunUnderItsBound) {
  CertificateChecker checker(Bound(2, 0.9), {Is(Assumption::Status::kMet)}, 0);
  const Certificate certificate = Feed(checker, Geometric(5, 0.9, 101));
  EXPECT_EQ(certificate.verdict, Verdict::kPass);
  EXPECT_TRUE(certificate.bound_held);
  EXPECT_EQ(certificate.iterations_checked, 100);
  EXPECT_FALSE(certificate.first_violation.has_value());
  ASSERT_EQ(certificate.assumptions.size(), 1U);
  EXPECT_EQ(certificate.assumptions[0].name, "condition");
}

TEST(CertificateChecker, ReportsTheLeastSlackAndItsIteration) {
  std::vector<double> values = Geometric(1, 0.5, 21);
  values[7] *= 1.5;  // in p_7 and in p_8
  CertificateChecker checker(Bound(2, 0.5, false), {}, 0);
  const Certificate certificate = Feed(checker, values);
  EXPECT_EQ(certificate.least_slack_iteration, 7);
  EXPECT_DOUBLE_EQ(certificate.least_slack.value(), 2 / 1.5);
  EXPECT_DOUBLE_EQ(certificate.last_slack.value(), 2);
}

TEST(CertificateChecker, DoesNotCountIterationZeroWhereTheSlackIsTheConstant) {
  CertificateChecker checker(Bound(1.25, 0.9, false), {}, 0);
  // Slack 1.25 at t = 0, 2.5 after it.
  const Certificate certificate = Feed(checker, {2, 0.9, 0.81});
  EXPECT_DOUBLE_EQ(certificate.least_slack.value(), 2.5);
  EXPECT_EQ(certificate.iterations_checked, 2);
}

TEST(CertificateChecker, ReportsABrokenBoundWithItsFirstIteration) {
  std::vector<double> values = Geometric(1, 0.8, 40);
  for (size_t t = 13; t < 20; ++t) {
    values[t] *= 4;
  }
  CertificateChecker checker(Bound(3, 0.8, false), {Is(Assumption::Status::kMet)}, 0);
  const Certificate certificate = Feed(checker, values);
  EXPECT_EQ(certificate.verdict, Verdict::kViolated);
  EXPECT_FALSE(certificate.bound_held);
  EXPECT_EQ(certificate.first_violation, 13);
  EXPECT_NEAR(certificate.least_slack.value(), 0.75, 1e-12);
  EXPECT_EQ(certificate.iterations_checked, 39);  // goes on checking
}

TEST(CertificateChecker, ComparesTheStackedNormWhereTheBoundIsOnIt) {
  // |xi| keeps under 1.1 |xi_0|; p_1 = |[xi_1; xi_0]| does not keep under 1.1 p_0 rate.
  const std::vector<double> values = {1, 0.9};
  CertificateChecker on_residual(Bound(1.1, 0.9, false), {}, 0);
  EXPECT_TRUE(Feed(on_residual, values).bound_held);
  CertificateChecker on_stacked(Bound(1, 0.9, true), {}, 0);
  const Certificate certificate = Feed(on_stacked, values);
  EXPECT_FALSE(certificate.bound_held);
  // p_0 = sqrt 2, so the bound at 1 is 0.9 sqrt 2.
  EXPECT_DOUBLE_EQ(certificate.least_slack.value(), 0.9 * std::sqrt(2.0) / std::hypot(1, 0.9));
}

TEST(CertificateChecker, AllowsRoundingWhereTheBoundIsAnEquality) {
  BoundSpec bound = Bound(1, 0.9, false);
  bound.slack_factor = 1 + 1e-9;
  std::vector<double> values = Geometric(1, 0.9, 10);
  values[5] *= 1 + 5e-10;
  CertificateChecker within(bound, {}, 0);
  EXPECT_TRUE(Feed(within, values).bound_held);
  values[5] *= 1 + 2e-9;
  CertificateChecker beyond(bound, {}, 0);
  EXPECT_EQ(Feed(beyond, values).first_violation, 5);
}

// kappa = 1 and b not 0: |xi_t| = rate^t |xi_0| plus the rounding of w, which does not shrink with
// it.
TEST(CertificateChecker, AllowsTheFloorWhereTheBoundIsAnEquality) {
  BoundSpec bound = Bound(1, 0.5, false);
  bound.slack_factor = 1 + 1e-9;
  std::vector<double> values = Geometric(1, 0.5, 15);
  for (double& value : values) {
    value += 0.9e-6;
  }
  values[0] = 1;
  CertificateChecker within(bound, {}, 1e-6);
  const Certificate certificate = Feed(within, values);
  EXPECT_EQ(certificate.verdict, Verdict::kPass);
  EXPECT_GE(certificate.least_slack.value(), 1);
  values[10] += 0.2e-6;
  CertificateChecker beyond(bound, {}, 1e-6);
  EXPECT_EQ(Feed(beyond, values).first_violation, 10);
  bound.slack_factor = 1;  // any other bound has room of its own
  CertificateChecker strict(bound, {}, 1e-6);
  EXPECT_EQ(Feed(strict, values).first_violation, 1);
}

TEST(CertificateChecker, AllowsOneStepsRoundingWhereTheRateIsNothing) {
  BoundSpec bound = Bound(1, 0, false);
  bound.rounding = 1e-15;
  CertificateChecker within(bound, {}, 1e-150);
  EXPECT_EQ(Feed(within, {1, 5e-16, 1e-31}).verdict, Verdict::kPass);
  CertificateChecker beyond(bound, {}, 1e-150);
  EXPECT_EQ(Feed(beyond, {1, 2e-15}).first_violation, 1);
}

TEST(CertificateChecker, StopsForGoodAtTheRoundingFloor) {
  // The bound is under 1e-6 from t = 20 on; what the run does there is rounding.
  std::vector<double> values = Geometric(1, 0.5, 20);
  values.insert(values.end(), 30, 1e-5);
  CertificateChecker checker(Bound(1, 0.5, false), {}, 1e-6);
  const Certificate certificate = Feed(checker, values);
  EXPECT_EQ(certificate.verdict, Verdict::kPass);
  EXPECT_EQ(certificate.iterations_checked, 19);
  EXPECT_FALSE(certificate.first_violation.has_value());
}

TEST(CertificateChecker, DoesNotTakeUpAgainAboveTheFloor) {
  // A bound that grows again can't be had; a later value far above it can.
  CertificateChecker checker(Bound(1, 0.5, false), {}, 0.2);
  const Certificate certificate = Feed(checker, {1, 0.5, 0.25, 0.1, 1e6, 1e12});
  EXPECT_EQ(certificate.iterations_checked, 2);
  EXPECT_TRUE(certificate.bound_held);
}

TEST(CertificateChecker, CountsANumberThatIsNoneAsAViolation) {
  for (const double value : {kInfinity, kNan}) {
    CertificateChecker checker(Bound(100, 0.9), {}, 0);
    const Certificate certificate = Feed(checker, {1, 0.9, value});
    EXPECT_EQ(certificate.verdict, Verdict::kViolated) << value;
    EXPECT_EQ(certificate.first_violation, 2);
  }
}

TEST(CertificateChecker, IsNotApplicableWithAnUnmetAssumptionButSaysWhetherTheBoundHeld) {
  for (const double factor : {1.0, 10.0}) {
    CertificateChecker checker(Bound(2, 0.9),
                               {Is(Assumption::Status::kMet), Is(Assumption::Status::kUnmet)}, 0);
    std::vector<double> values = Geometric(1, 0.9, 30);
    values[20] *= factor;
    const Certificate certificate = Feed(checker, values);
    EXPECT_EQ(certificate.verdict, Verdict::kNotApplicable);
    EXPECT_EQ(certificate.bound_held, factor == 1);
    EXPECT_EQ(certificate.assumptions.size(), 2U);
  }
}

TEST(CertificateChecker, LetsAnUnverifiableAssumptionPass) {
  CertificateChecker checker(Bound(2, 0.9), {Is(Assumption::Status::kUnverifiable)}, 0);
  EXPECT_EQ(Feed(checker, Geometric(1, 0.9, 30)).verdict, Verdict::kPass);
}

TEST(CertificateChecker, HasNothingToSayWithoutABound) {
  CertificateChecker checker(BoundSpec{}, {Is(Assumption::Status::kMet)}, 0);
  const Certificate certificate = Feed(checker, Geometric(1, 0.9, 30));
  EXPECT_EQ(certificate.verdict, Verdict::kNotApplicable);
  EXPECT_FALSE(certificate.bound_held);
  EXPECT_EQ(certificate.iterations_checked, 0);
  EXPECT_FALSE(certificate.least_slack.has_value());
}

TEST(CertificateChecker, IsNotApplicableToARunThatStartsAtItsEnd) {
  CertificateChecker checker(Bound(2, 0.9), {}, 0);
  const Certificate certificate = Feed(checker, {0});
  EXPECT_EQ(certificate.verdict, Verdict::kNotApplicable);
  EXPECT_EQ(certificate.iterations_checked, 0);
}

TEST(CertificateChecker, GivesAnIterationToASlackThatIsInfinite) {
  CertificateChecker checker(Bound(2, 0.9), {}, 0);
  checker.Add(0, 1, std::sqrt(2.0));
  checker.Add(1, 0, 0);
  const Certificate certificate = checker.certificate();
  EXPECT_EQ(certificate.least_slack, kInfinity);
  EXPECT_EQ(certificate.least_slack_iteration, 1);
}

TEST(CertificateChecker, KeepsTheBoundToTheDigitsOfAPower) {
  // A million products would drift by 1e-10 of the bound at worst; powers in between keep it
  // within 1,024 roundings, and pow's own 1e6 |log rate| eps.
  const double rate = 1 - 1e-6;
  BoundSpec bound = Bound(1, rate, false);
  CertificateChecker checker(bound, {}, 0);
  for (int64_t t = 0; t <= 1000000; ++t) {
    const double value = t % 1000 == 0 ? std::exp(static_cast<double>(t) * std::log(rate)) : 0;
    checker.Add(t, value, value);
  }
  EXPECT_NEAR(checker.certificate().least_slack.value(), 1, 1024 * 2.3e-16);
}

TEST(BoundAt, IsTheConstantTimesThePowerTimesTheStart) {
  EXPECT_DOUBLE_EQ(BoundAt(Bound(3, 0.5, false), 4, 2), 3.0);
  EXPECT_DOUBLE_EQ(BoundAt(Bound(3, 0.5, true), 4, 2), 3.0 * std::sqrt(2.0));
  EXPECT_TRUE(std::isnan(BoundAt(BoundSpec{}, 4, 2)));
}

TEST(BoundAt, IsWhatTheCheckerCompares) {
  const BoundSpec bound = Bound(3, 0.97, true);
  CertificateChecker checker(bound, {}, 0);
  for (int64_t t = 0; t <= 3000; ++t) {
    checker.Add(t, 1, std::sqrt(2.0));
  }
  EXPECT_NEAR(checker.certificate().last_slack.value(), BoundAt(bound, 1, 3000) / std::sqrt(2.0),
              1e-12 * BoundAt(bound, 1, 3000));
}

TEST(CertificateChecker, GoesOnToTheBitFromASavedStateWhereverItIsCut) {
  std::vector<double> values = Geometric(3, 0.99, 3000);
  values[700] *= 30;  // a violation
  values[1900] *= 0.9;
  const BoundSpec bound = Bound(2.5, 0.991, true);
  const std::vector<Assumption> assumptions = {Is(Assumption::Status::kMet)};
  for (const size_t cut : {0, 1, 2, 699, 700, 701, 1023, 1024, 2047, 2999}) {
    CertificateChecker whole(bound, assumptions, 1e-9);
    CertificateChecker loaded(bound, assumptions, 0);  // the floor is the saved one
    double previous = values[0];
    for (size_t t = 0; t < values.size(); ++t) {
      if (t == cut) {
        ASSERT_TRUE(LoadState(loaded, StateOf(whole)).ok());
      }
      const double stacked = std::hypot(values[t], previous);
      whole.Add(static_cast<int64_t>(t), values[t], stacked);
      if (t >= cut) {
        loaded.Add(static_cast<int64_t>(t), values[t], stacked);
        ASSERT_EQ(StateOf(loaded), StateOf(whole)) << t;
      }
      previous = values[t];
    }
    const Certificate certificate = loaded.certificate();
    EXPECT_EQ(certificate.verdict, whole.certificate().verdict);
    EXPECT_EQ(certificate.first_violation, 700);
    EXPECT_EQ(certificate.least_slack, whole.certificate().least_slack);
    EXPECT_EQ(certificate.iterations_checked, whole.certificate().iterations_checked);
    ASSERT_EQ(certificate.assumptions.size(), 1U);
  }
}

TEST(CertificateChecker, RefusesTheStateOfAnotherBound) {
  CertificateChecker saved(Bound(2, 0.9), {}, 0);
  Feed(saved, Geometric(5, 0.9, 20));
  const std::string state = StateOf(saved);
  BoundSpec equality = Bound(2, 0.9);
  equality.slack_factor = 1 + 1e-9;
  BoundSpec rounded = Bound(2, 0.9);
  rounded.rounding = 1e-16;
  for (const BoundSpec& other : {Bound(2.5, 0.9), Bound(2, std::nextafter(0.9, 1)),
                                 Bound(2, 0.9, false), equality, rounded, BoundSpec{}}) {
    CertificateChecker checker(other, {}, 0);
    EXPECT_TRUE(absl::IsDataLoss(LoadState(checker, state)));
  }
  CertificateChecker same(Bound(2, 0.9), {}, 0);
  EXPECT_TRUE(LoadState(same, state).ok());
}

TEST(CertificateChecker, KeepsTheStateOfAProblemWithoutABound) {
  CertificateChecker saved(BoundSpec{}, {}, 0);
  Feed(saved, Geometric(5, 0.9, 20));
  CertificateChecker loaded(BoundSpec{}, {}, 0);
  EXPECT_TRUE(LoadState(loaded, StateOf(saved)).ok());  // its numbers are NaN
}

TEST(CertificateChecker, RefusesCountsThatCanNotBeAndEarlyEnds) {
  CertificateChecker saved(Bound(2, 0.9), {}, 0);
  Feed(saved, Geometric(5, 0.9, 20));
  const std::string state = StateOf(saved);
  const auto refuses = [&](const std::string& changed) {
    CertificateChecker checker(Bound(2, 0.9), {}, 0);
    return absl::IsDataLoss(LoadState(checker, changed));
  };
  const auto with = [&](size_t number, int64_t value) {
    std::string changed = state;
    changed.replace(8 * number, 8, reinterpret_cast<const char*>(&value), 8);
    return changed;
  };
  EXPECT_FALSE(refuses(state));
  EXPECT_TRUE(refuses(with(7, 2)));    // closed
  EXPECT_TRUE(refuses(with(8, -1)));   // checked
  EXPECT_TRUE(refuses(with(10, 20)));  // the least slack's iteration; 19 were checked
  EXPECT_TRUE(refuses(with(12, 20)));  // the first violation
  EXPECT_TRUE(refuses(with(12, -2)));
  for (size_t size = 0; size < state.size(); ++size) {
    EXPECT_TRUE(refuses(state.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace polyak::engine
