#include "server/engine/plans/spectral.h"

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/server/engine/plans/experiments.h"

namespace polyak::engine {
namespace {

using ::testing::HasSubstr;

// Coordinates rotated by 45 degrees: eigenvalues 1 and 3.
QuadraticSpec Rotated() {
  Matrix hessian(2, 2);
  hessian << 2, 1, 1, 2;
  Vector start(2);
  start << 2, 0;
  QuadraticSpec spec;
  spec.hessian = std::make_shared<const Matrix>(hessian);
  spec.initial_point = std::make_shared<const Vector>(start);
  return spec;
}

TEST(SpectralStepper, ShrinksEachEigenvectorByItsOwnFactor) {
  const auto stepper =
      MakeSpectralStepper({InstanceOf(Rotated()), GradientDescentSpec{0.25}}).value();
  // w_0 is sqrt(2) along each eigenvector; the factors are 3/4 and 1/4.
  double slow = 2;
  double fast = 2;  // squares
  for (int t = 0; t < 20; ++t) {
    const Observation observation = stepper->Observe();
    // Each of the four factors of a square loses at most an ulp a step.
    const double allowed = 16 * (t + 1) * 1.2e-16;
    EXPECT_NEAR(observation.loss, 0.5 * (slow + 3 * fast), allowed * (slow + 3 * fast));
    EXPECT_NEAR(observation.residual_norm * observation.residual_norm, slow + fast,
                allowed * (slow + fast));
    stepper->Step();
    slow *= 9.0 / 16;
    fast *= 1.0 / 16;
  }
}

TEST(SpectralPlan, FitsQuadraticsAlone) {
  for (const ProblemSpec& spec : EverySpec()) {
    const bool quadratic = std::holds_alternative<QuadraticSpec>(spec);
    const OptimizerSpec optimizer = EveryOptimizer()[1];
    EXPECT_EQ(SpectralCost(spec, optimizer).has_value(), quadratic);
    const Eligibility eligibility = SpectralEligible({InstanceOf(spec), optimizer});
    EXPECT_EQ(eligibility.eligible, quadratic);
    EXPECT_THAT(eligibility.reason, HasSubstr(quadratic ? "moves by itself" : "no quadratic"));
  }
}

TEST(SpectralPlan, CostsAsMuchAsTheDimensionAnIteration) {
  QuadraticSpec spec;
  spec.hessian = GeneratedSpectrumSpec{1000, 10, 1, SpectrumShape::kUniform};
  EXPECT_EQ(SpectralCost(spec, EveryOptimizer()[1])->operations_per_iteration, 9e3);
}

}  // namespace
}  // namespace polyak::engine
