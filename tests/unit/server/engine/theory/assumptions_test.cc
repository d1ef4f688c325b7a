// The builders and the margin of (T6) that the classes' theories share.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"
#include "server/engine/random/random_stream.h"
#include "server/engine/theory/problem_theory.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

TEST(ComplexRegimeMargin, IsTheNegativeDiscriminant) {
  const RandomStream stream(Seed{1}, DrawPurpose::kTargets);
  for (uint64_t k = 0; k < 10000; ++k) {
    const double momentum = stream.Uniform(2 * k);
    const double z = 4 * stream.Uniform(2 * k + 1);
    const double sum = 1 + momentum - z;
    // Terms up to 4 + 9: a few roundings of 16.
    ASSERT_NEAR(ComplexRegimeMargin(momentum, z), 4 * momentum - sum * sum, 64 * kEpsilon);
  }
}

TEST(ComplexRegimeMargin, KeepsItsDigitsWhereTheDifferenceOfSquaresLosesThem) {
  // momentum = (1 - delta)^2 and z = (c delta)^2 give
  // h = (c^2 - 1) delta^2 (2 - (1 + c) delta)(2 - (1 - c) delta), whatever is small.
  const double delta = 1e-6;
  const double c = 2;
  const double momentum = (1 - delta) * (1 - delta);
  const double expected =
      (c * c - 1) * delta * delta * (2 - (1 + c) * delta) * (2 - (1 - c) * delta);
  // Each factor is about delta and knows momentum to eps: two errors of eps / delta.
  EXPECT_NEAR(ComplexRegimeMargin(momentum, c * c * delta * delta), expected,
              expected * 4 * kEpsilon / delta);
}

TEST(ComplexRegimeMargin, IsLeastAtAnEndOfTheSpectrum) {
  const RandomStream stream(Seed{2}, DrawPurpose::kTargets);
  for (uint64_t k = 0; k < 10000; ++k) {
    const double momentum = stream.Uniform(4 * k);
    const double a = 4 * stream.Uniform(4 * k + 1);
    const double b = 4 * stream.Uniform(4 * k + 2);
    const double inside = a + (b - a) * stream.Uniform(4 * k + 3);
    ASSERT_GE(ComplexRegimeMargin(momentum, inside),
              std::min(ComplexRegimeMargin(momentum, a), ComplexRegimeMargin(momentum, b)) -
                  64 * kEpsilon);
  }
}

TEST(CheckedAssumption, SaysWhetherItIsMet) {
  const Assumption met = CheckedAssumption("a", 1, 2, true, "More than one.");
  EXPECT_EQ(met.name, "a");
  EXPECT_EQ(met.required, 1);
  EXPECT_EQ(met.actual, 2);
  EXPECT_EQ(met.status, Assumption::Status::kMet);
  EXPECT_EQ(met.text, "More than one.");
  EXPECT_EQ(CheckedAssumption("a", 1, 0, false, "").status, Assumption::Status::kUnmet);
}

TEST(MethodNotCovered, IsAlwaysUnmetAndNamesTheMethod) {
  const Assumption assumption = MethodNotCovered();
  EXPECT_EQ(assumption.name, "method_covered_by_theorem");
  EXPECT_EQ(assumption.status, Assumption::Status::kUnmet);
  EXPECT_TRUE(std::isnan(assumption.required));
  EXPECT_NE(assumption.text.find("Nesterov"), std::string::npos);
}

TEST(TheoremParametersAssumption, FollowsTheChosenParameters) {
  ChosenParameters parameters;
  parameters.theorem_parameters = true;
  EXPECT_EQ(TheoremParametersAssumption(parameters).status, Assumption::Status::kMet);
  parameters.theorem_parameters = false;
  EXPECT_EQ(TheoremParametersAssumption(parameters).status, Assumption::Status::kUnmet);
}

TEST(AddWidthOfTheorem, WarnsOnlyOfANetworkThatIsTooNarrow) {
  BoundChoice wide;
  AddWidthOfTheorem(100, 100, "As wide as it must be.", wide);
  EXPECT_EQ(wide.assumptions.at(0).status, Assumption::Status::kMet);
  EXPECT_TRUE(wide.warnings.empty());
  BoundChoice narrow;
  AddWidthOfTheorem(99, 100, "As wide as it must be.", narrow);
  EXPECT_EQ(narrow.assumptions.at(0).status, Assumption::Status::kUnmet);
  EXPECT_EQ(narrow.warnings.size(), 1U);
}

TEST(NetworkBound, IsTheTheoremsOwnForPolyakAndPriorWorksForGradientDescent) {
  const TuningSpectrum spectrum = {1, 16};  // kappa 16, root 4
  ChosenParameters parameters;
  parameters.optimizer = PolyakMomentumSpec{};
  const BoundSpec polyak = NetworkBound(parameters, spectrum, "T8");
  EXPECT_EQ(polyak.constant, 32);
  EXPECT_EQ(polyak.rate, 1 - 1.0 / 16);
  EXPECT_TRUE(polyak.on_stacked_norm);
  EXPECT_EQ(polyak.theorem, "T8");
  parameters.optimizer = GradientDescentSpec{};
  parameters.method.step_size = 1.0 / 16;
  const BoundSpec descent = NetworkBound(parameters, spectrum, "T8");
  EXPECT_EQ(descent.constant, 1);
  EXPECT_EQ(descent.rate, std::sqrt(1 - 1.0 / 32));
  EXPECT_FALSE(descent.on_stacked_norm);
  EXPECT_EQ(descent.theorem, "T11");
}

}  // namespace
}  // namespace polyak::engine
