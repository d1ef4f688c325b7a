#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "gtest/gtest.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/theory/theory.h"
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
using ::polyak::testing_support::Rotated;
using ::polyak::testing_support::Share;
using ::polyak::testing_support::UnitRows;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

TEST(RoundingFloor, IsUnderflowForADiagonalQuadraticAboutTheOrigin) {
  EXPECT_EQ(RoundingFloor(Make(Diagonal(LogUniform(5, 1e8))), 3.0), 1e-150);
}

TEST(RoundingFloor, GrowsWithTheConditionNumberWhereTheIterateIsNotItsOwnResidual) {
  for (const double kappa : {10.0, 1e4, 1e8}) {
    QuadraticSpec spec = Diagonal(LogUniform(4, kappa));
    spec.linear_term = Share(Vector(Vector::Constant(4, 1 / kappa)));
    spec.initial_point = Share(Vector(Vector::Unit(4, 1)));
    const ProblemInstance problem = Make(spec);
    const auto& quadratic = *std::get<std::shared_ptr<const QuadraticInstance>>(problem);
    const double minimiser = quadratic.minimiser.norm();
    EXPECT_DOUBLE_EQ(RoundingFloor(problem, 2.0),
                     std::max(64 * kEpsilon * 2 * (2 * std::sqrt(2.0) + minimiser),
                              8 * kEpsilon * kappa * (1 + minimiser)));
  }
}

TEST(RoundingFloor, StaysFiniteForASingularQuadratic) {
  QuadraticSpec spec = Diagonal(Vector(Vector::Unit(3, 0)));
  spec.linear_term = Share(Vector(Vector::Unit(3, 0)));
  EXPECT_TRUE(std::isfinite(RoundingFloor(Make(spec), 1.0)));
}

TEST(RoundingFloor, OfANetworkCountsExamplesAndTargets) {
  const Vector targets = NormalVector(1, 9);
  const double expected = 64 * kEpsilon * 3 * (std::sqrt(2.0) * 5 + targets.norm());
  EXPECT_DOUBLE_EQ(RoundingFloor(Make(ReluNetwork(UnitRows(2, 9, 4), targets, 8)), 5.0), expected);
  EXPECT_DOUBLE_EQ(
      RoundingFloor(Make(DeepLinearNetwork(NormalEntries(2, 9, 4), targets, 8, 3)), 5.0), expected);
}

// Largest p_t over the last tenth of a run that is long past its convergence.
double Plateau(const ProblemInstance& instance, const OptimizerSpec& spec, int64_t iterations) {
  const auto theory = Resolve(instance, spec, Tuning::kTheorem);
  const std::unique_ptr<Problem> problem = MakeProblem(instance);
  const std::unique_ptr<Optimizer> optimizer =
      MakeOptimizer(theory->optimizer, problem->initial_point());
  Vector gradient(problem->dimension());
  double previous = 0;
  double plateau = 0;
  for (int64_t t = 0; t < iterations; ++t) {
    const double now = problem->Evaluate(optimizer->iterate(), &gradient).residual_norm;
    if (t >= iterations - iterations / 10) {
      plateau = std::max(plateau, std::hypot(now, previous));
    }
    previous = now;
    optimizer->Update(gradient);
  }
  return plateau;
}

double InitialResidualNorm(const ProblemInstance& instance) {
  const std::unique_ptr<Problem> problem = MakeProblem(instance);
  const Vector start = problem->initial_point();
  return problem->Evaluate(start, nullptr).residual_norm;
}

TEST(RoundingFloor, LiesAboveWhereAMatrixQuadraticComesToRest) {
  for (const double kappa : {1.0, 100.0, 1e4, 1e6}) {
    for (const int64_t seed : {1, 2, 3}) {
      QuadraticSpec spec = Rotated(LogUniform(10, kappa), seed);
      if (seed > 1) {
        spec.linear_term = Share(NormalVector(seed, 10));
      }
      const ProblemInstance problem = Make(spec, seed);
      // exp(-t / (2 sqrt kappa)) is 1e-22 by then, kappa times less than any plateau.
      const auto iterations = static_cast<int64_t>(100 * std::sqrt(kappa)) + 100;
      EXPECT_LT(Plateau(problem, PolyakMomentumSpec{}, iterations),
                RoundingFloor(problem, InitialResidualNorm(problem)))
          << kappa << " " << seed;
    }
  }
}

TEST(RoundingFloor, LiesAboveWhereNetworksComeToRest) {
  const ProblemInstance relu = Make(ReluNetwork(UnitRows(1, 6, 10), NormalVector(2, 6), 2000), 3);
  EXPECT_LT(Plateau(relu, PolyakMomentumSpec{}, 600),
            RoundingFloor(relu, InitialResidualNorm(relu)));
  const ProblemInstance linear =
      Make(DeepLinearNetwork(NormalEntries(1, 12, 3), NormalEntries(2, 12, 2), 40, 3), 3);
  EXPECT_LT(Plateau(linear, PolyakMomentumSpec{}, 600),
            RoundingFloor(linear, InitialResidualNorm(linear)));
}

}  // namespace
}  // namespace polyak::engine
