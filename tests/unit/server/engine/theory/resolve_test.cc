#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/theory/spectral_radius.h"
#include "server/engine/theory/theory.h"
#include "server/engine/theory/tuning.h"
#include "tests/support/problems.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::DeepLinearNetwork;
using ::polyak::testing_support::Diagonal;
using ::polyak::testing_support::LogUniform;
using ::polyak::testing_support::Make;
using ::polyak::testing_support::NormalEntries;
using ::polyak::testing_support::NormalVector;
using ::polyak::testing_support::ReluNetwork;
using ::polyak::testing_support::UnitRows;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kKappa = 100;

ProblemInstance Quadratic() { return Make(Diagonal(LogUniform(4, kKappa, 2))); }

ProblemInstance Singular() { return Make(Diagonal(Vector(Vector::Unit(3, 1) * 2))); }

TheoryResolution Resolved(const ProblemInstance& problem, const OptimizerSpec& optimizer,
                          Tuning tuning = Tuning::kTheorem) {
  auto theory = Resolve(problem, optimizer, tuning);
  POLYAK_CHECK(theory.ok());
  return *std::move(theory);
}

TEST(Resolve, FillsEveryParameterByTheTuningAskedFor) {
  const TuningSpectrum spectrum = {2 / kKappa, 2};
  for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
    for (const OptimizerSpec& optimizer :
         {OptimizerSpec(GradientDescentSpec{}), OptimizerSpec(PolyakMomentumSpec{}),
          OptimizerSpec(NesterovMomentumSpec{})}) {
      const TheoryResolution theory = Resolved(Quadratic(), optimizer, tuning);
      const TunedParameters tuned = TuneParameters(optimizer, spectrum, tuning);
      EXPECT_FALSE(NeedsTuning(theory.optimizer));
      EXPECT_EQ(theory.optimizer.index(), optimizer.index());
      EXPECT_DOUBLE_EQ(theory.method.step_size, tuned.step_size);
      EXPECT_DOUBLE_EQ(theory.method.momentum, tuned.momentum);
      EXPECT_DOUBLE_EQ(theory.prediction.condition_number, kKappa);
      EXPECT_EQ(theory.prediction.rate,
                SpectralRadius(theory.prediction.smallest_eigenvalue,
                               theory.prediction.largest_eigenvalue, theory.method));
      EXPECT_THAT(theory.warnings, IsEmpty());
    }
  }
}

TEST(Resolve, WarnsOfOneParameterGivenAndFillsTheOtherAsIfNeitherWere) {
  const PolyakMomentumSpec both =
      std::get<PolyakMomentumSpec>(Resolved(Quadratic(), PolyakMomentumSpec{}).optimizer);
  const TheoryResolution momentum_given =
      Resolved(Quadratic(), PolyakMomentumSpec{std::nullopt, 0.96});
  EXPECT_EQ(momentum_given.method.step_size, *both.step_size);
  EXPECT_EQ(momentum_given.method.momentum, 0.96);
  EXPECT_THAT(momentum_given.warnings, Contains(HasSubstr("one of step_size and momentum")));
  EXPECT_EQ(momentum_given.bound.theorem, "T6");
  const TheoryResolution step_given = Resolved(Quadratic(), PolyakMomentumSpec{0.4, std::nullopt});
  EXPECT_EQ(step_given.method.step_size, 0.4);
  EXPECT_EQ(step_given.method.momentum, *both.momentum);
  EXPECT_THAT(step_given.warnings, Contains(HasSubstr("one of step_size and momentum")));
  EXPECT_EQ(step_given.bound.theorem, "T6");
}

TEST(Resolve, CountsGivenParametersThatEqualTheTheoremsAsTheTheorems) {
  const TheoryResolution own = Resolved(Quadratic(), PolyakMomentumSpec{});
  for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
    const TheoryResolution given = Resolved(Quadratic(), own.optimizer, tuning);
    EXPECT_EQ(given.bound.theorem, "T7");
    EXPECT_EQ(given.bound.constant, own.bound.constant);
  }
  PolyakMomentumSpec other = std::get<PolyakMomentumSpec>(own.optimizer);
  other.momentum = *other.momentum * (1 + 1e-11);
  EXPECT_EQ(Resolved(Quadratic(), other).bound.theorem, "T6");
}

TEST(Resolve, CountsGivenParametersOfNetworksLikewise) {
  for (const ProblemInstance& problem :
       {Make(ReluNetwork(UnitRows(1, 6, 10), NormalVector(2, 6), 30)),
        Make(DeepLinearNetwork(NormalEntries(1, 9, 3), NormalEntries(2, 9, 2), 20, 3))}) {
    const TheoryResolution own = Resolved(problem, PolyakMomentumSpec{});
    const TheoryResolution given = Resolved(problem, own.optimizer);
    EXPECT_TRUE(given.bound.exists());
    EXPECT_EQ(given.bound.theorem, own.bound.theorem);
    EXPECT_EQ(given.bound.rate, own.bound.rate);
  }
}

TEST(Resolve, RefusesASingularHessianOnlyWhereAParameterMustComeFromTheory) {
  for (const OptimizerSpec& optimizer :
       {OptimizerSpec(GradientDescentSpec{}), OptimizerSpec(PolyakMomentumSpec{0.1, std::nullopt}),
        OptimizerSpec(NesterovMomentumSpec{std::nullopt, 0.5})}) {
    const auto refused = Resolve(Singular(), optimizer, Tuning::kTheorem);
    ASSERT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(refused.status().message(), HasSubstr("eigenvalues reach from 0 to 2"));
    EXPECT_THAT(refused.status().message(), HasSubstr("accepted: every parameter"));
  }
  for (const OptimizerSpec& optimizer :
       {OptimizerSpec(GradientDescentSpec{0.1}), OptimizerSpec(PolyakMomentumSpec{0.1, 0.5}),
        OptimizerSpec(NesterovMomentumSpec{0.1, 0.5})}) {
    const TheoryResolution theory = Resolved(Singular(), optimizer);
    EXPECT_TRUE(std::isinf(theory.prediction.condition_number));
    EXPECT_TRUE(std::isinf(theory.prediction.theorem_condition_number));
    EXPECT_EQ(theory.prediction.rate, 1);
    EXPECT_FALSE(theory.bound.exists());
    EXPECT_THAT(theory.warnings, Contains(HasSubstr("predicted rate is 1")));
  }
}

TEST(Resolve, WarnsOfAStepSizeThatDiverges) {
  const TheoryResolution theory = Resolved(Quadratic(), GradientDescentSpec{1.5});
  EXPECT_DOUBLE_EQ(theory.prediction.rate, 2);
  EXPECT_THAT(theory.warnings, Contains(HasSubstr("predicted rate is 2")));
}

TEST(Resolve, PredictsTheNumbersOfTheBound) {
  const TheoryResolution theory = Resolved(Quadratic(), PolyakMomentumSpec{});
  EXPECT_EQ(theory.prediction.constant, theory.bound.constant);
  EXPECT_EQ(theory.prediction.bound_rate, theory.bound.rate);
  EXPECT_FALSE(theory.prediction.assumptions.empty());
}

TEST(Resolve, OfAConditionNumberOfOneIsSoundForEveryMethod) {
  const ProblemInstance problem = Make(Diagonal(Vector::Constant(3, 49)));
  for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
    for (const OptimizerSpec& optimizer :
         {OptimizerSpec(GradientDescentSpec{}), OptimizerSpec(PolyakMomentumSpec{}),
          OptimizerSpec(NesterovMomentumSpec{})}) {
      const TheoryResolution theory = Resolved(problem, optimizer, tuning);
      EXPECT_EQ(theory.prediction.condition_number, 1);
      EXPECT_LE(theory.prediction.rate, 0.5);
      EXPECT_THAT(theory.warnings, IsEmpty());
    }
  }
}

}  // namespace
}  // namespace polyak::engine
