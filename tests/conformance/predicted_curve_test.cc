// The curve that is predicted before a run against the run (docs/theory.md, section 5, (T12)).

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/theory/predicted_curve.h"
#include "tests/support/problems.h"
#include "tests/support/run.h"

namespace polyak {
namespace {

using namespace engine;  // NOLINT: the whole file is about it
using ::polyak::testing_support::DeepLinearNetwork;
using ::polyak::testing_support::Diagonal;
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::LogUniform;
using ::polyak::testing_support::Make;
using ::polyak::testing_support::NormalEntries;
using ::polyak::testing_support::NormalVector;
using ::polyak::testing_support::ReluNetwork;
using ::polyak::testing_support::Rotated;
using ::polyak::testing_support::RunToEnd;
using ::polyak::testing_support::UnitRows;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// Largest distance of the measured residual norm from the predicted one, in units of |xi_0|.
double Distance(const ProblemSpec& spec, const OptimizerSpec& optimizer, Tuning tuning,
                int64_t iterations, int64_t seed) {
  StoppingRule stopping;
  stopping.max_iterations = iterations;
  const FinishedRun run = RunToEnd(spec, optimizer, stopping, tuning, Seed{seed});
  PredictedCurve curve(Linearize(Make(spec, seed)), run.theory.method);
  double largest = 0;
  for (const double residual : run.rows.residual_norm) {
    largest = std::max(largest, std::abs(residual - curve.Next()));
  }
  return largest / run.rows.residual_norm[0];
}

const std::vector<OptimizerSpec>& Methods() {
  static const auto& methods = *new std::vector<OptimizerSpec>{
      GradientDescentSpec{}, PolyakMomentumSpec{}, NesterovMomentumSpec{}};
  return methods;
}

class PredictedCurveOfAQuadratic : public ::testing::TestWithParam<double> {};

// b = 0 and w_0 normal, so that |w_0| = |xi_0| and all rounding is in units of it.
TEST_P(PredictedCurveOfAQuadratic, IsTheRunToRoundingUnderTheoremTuning) {
  const double kappa = GetParam();
  const auto iterations = static_cast<int64_t>(std::min(30 * std::sqrt(kappa) + 50, 1e5));
  for (const OptimizerSpec& optimizer : Methods()) {
    const double tolerance = 10 * kappa * kEpsilon + 100 * kEpsilon;
    EXPECT_LT(Distance(Diagonal(LogUniform(8, kappa)), optimizer, Tuning::kTheorem, iterations, 1),
              tolerance)
        << optimizer.index();
    EXPECT_LT(
        Distance(Rotated(LogUniform(8, kappa), 2), optimizer, Tuning::kTheorem, iterations, 2),
        tolerance)
        << optimizer.index();
  }
}

// Double roots: an error of one step returns as t r^t, sqrt kappa times larger. Of a matrix the
// curve knows the smallest eigenvalue to d eps |H| only, so z = 4 / kappa about to 4 d eps; c_t
// moves with z by at most t^3 r^t / 6, which is largest at t = 1.5 sqrt kappa: 0.028 kappa^1.5
// each.
TEST_P(PredictedCurveOfAQuadratic, IsTheRunToRoundingUnderAsymptoticTuning) {
  const double kappa = GetParam();
  const auto iterations = static_cast<int64_t>(std::min(30 * std::sqrt(kappa) + 50, 1e5));
  for (const OptimizerSpec& optimizer : Methods()) {
    const double tolerance =
        std::max(10 * kappa, 0.2 * std::pow(kappa, 1.5)) * kEpsilon + 100 * kEpsilon;
    EXPECT_LT(
        Distance(Diagonal(LogUniform(8, kappa)), optimizer, Tuning::kAsymptotic, iterations, 1),
        tolerance)
        << optimizer.index();
    EXPECT_LT(
        Distance(Rotated(LogUniform(8, kappa), 2), optimizer, Tuning::kAsymptotic, iterations, 2),
        tolerance + 4 * 8 * 0.028 * std::pow(kappa, 1.5) * kEpsilon)
        << optimizer.index();
  }
}

INSTANTIATE_TEST_SUITE_P(ConditionNumbers, PredictedCurveOfAQuadratic,
                         ::testing::Values(1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6));

TEST(PredictedCurve, OfNetworksStartsAtTheMeasuredResidual) {
  const ReluNetworkSpec relu = ReluNetwork(UnitRows(1, 10, 20), NormalVector(2, 10), 500);
  const DeepLinearNetworkSpec linear =
      DeepLinearNetwork(NormalEntries(1, 30, 4), NormalEntries(2, 30, 2), 64, 3);
  for (const ProblemSpec& spec : {ProblemSpec(relu), ProblemSpec(linear)}) {
    EXPECT_LT(Distance(spec, PolyakMomentumSpec{}, Tuning::kTheorem, 0, 3), 1e-13);
  }
}

double MeanDistance(const ProblemSpec& spec, int seeds) {
  double sum = 0;
  for (int64_t seed = 0; seed < seeds; ++seed) {
    sum += Distance(spec, PolyakMomentumSpec{}, Tuning::kTheorem, 150, seed);
  }
  return sum / seeds;
}

// The distance falls as m^(-1/2): sixteen times the width should leave a quarter; less than half
// tells that from no fall at all.
TEST(PredictedCurve, OfAReluNetworkIsApproachedWithWidth) {
  const Matrix features = UnitRows(1, 10, 20);
  const Vector targets = NormalVector(2, 10);
  std::vector<double> distances;
  for (const int64_t width : {100, 1600, 25600}) {
    distances.push_back(MeanDistance(ReluNetwork(features, targets, width), width > 2000 ? 2 : 6));
  }
  EXPECT_LT(distances[1], distances[0] / 2);
  EXPECT_LT(distances[2], distances[1] / 2);
}

TEST(PredictedCurve, OfADeepLinearNetworkIsApproachedWithWidth) {
  const Matrix features = NormalEntries(1, 30, 4);
  const Matrix targets = NormalEntries(2, 30, 2);
  std::vector<double> distances;
  for (const int64_t width : {8, 64, 512}) {
    distances.push_back(
        MeanDistance(DeepLinearNetwork(features, targets, width, 3), width > 100 ? 2 : 6));
  }
  EXPECT_LT(distances[1], distances[0] / 2);
  EXPECT_LT(distances[2], distances[1] / 2);
}

}  // namespace
}  // namespace polyak
