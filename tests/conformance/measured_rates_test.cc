// What is measured of a run against what theory says before it (docs/theory.md, sections 2, 3, 6).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/data/built_in.h"
#include "tests/support/problems.h"
#include "tests/support/run.h"

namespace polyak {
namespace {

using namespace engine;  // NOLINT: the whole file is about it
using ::polyak::testing_support::DeepLinearNetwork;
using ::polyak::testing_support::Diagonal;
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::LogUniform;
using ::polyak::testing_support::NormalEntries;
using ::polyak::testing_support::ReluNetwork;
using ::polyak::testing_support::RunToEnd;
using ::polyak::testing_support::Share;

StoppingRule Iterations(int64_t count) {
  StoppingRule stopping;
  stopping.max_iterations = count;
  return stopping;
}

// One eigenvalue decides from the start on when the others' factors are smaller by e^-40 at the
// window's beginning: the fit is then a line through a line.
TEST(MeasuredRate, OfGradientDescentIsTheLargestFactorToSixDigits) {
  Vector eigenvalues(3);
  eigenvalues << 0.4, 1, 1.7;
  for (const double step_size : {0.05, 0.3, 0.9, 1.1}) {
    QuadraticSpec spec = Diagonal(eigenvalues);
    spec.initial_point = Share(Vector(Vector::Ones(3)));
    const FinishedRun run = RunToEnd(spec, GradientDescentSpec{step_size}, Iterations(3000));
    const double expected = std::max(std::abs(1 - 0.4 * step_size), std::abs(1 - 1.7 * step_size));
    ASSERT_TRUE(run.summary.windowed.valid()) << step_size;
    EXPECT_NEAR(run.summary.windowed.rate, expected, 5e-7) << step_size;
    EXPECT_NEAR(run.theory.prediction.rate, expected, 1e-15);
  }
}

// Iterations until the residual of a factor `rate` per iteration has shrunk to `share`.
int64_t IterationsTo(double share, double rate) {
  return static_cast<int64_t>(std::log(share) / std::log(rate)) + 1;
}

class PolyakAtTheoremParameters : public ::testing::TestWithParam<double> {};

// The angle of the slowest roots, cos = (1 + beta - z) / (2 sqrt beta) with z = 1 / kappa, is about
// sqrt(3) / (2 sqrt kappa): a period takes 4 pi / sqrt 3 = 7.3 sqrt(kappa) iterations, and the
// residual falls by 3.6 e-folds in it. e^-150 holds 40 of them, far above underflow since b = 0.
TEST_P(PolyakAtTheoremParameters, MeasuresWithinOnePercentOfTheDistanceFromOne) {
  const double kappa = GetParam();
  const double rate = 1 - 1 / (2 * std::sqrt(kappa));
  QuadraticSpec spec = Diagonal(LogUniform(10, kappa));
  const FinishedRun run =
      RunToEnd(spec, PolyakMomentumSpec{}, Iterations(IterationsTo(std::exp(-150.0), rate)),
               Tuning::kTheorem, Seed{3});
  EXPECT_NEAR(run.theory.prediction.rate, rate, 1e-15);
  ASSERT_TRUE(run.summary.windowed.valid()) << run.summary.windowed.method;
  EXPECT_NEAR(1 - run.summary.windowed.rate, 1 - rate, 0.01 * (1 - rate));
  EXPECT_LT(run.summary.windowed.standard_error, 0.01 * (1 - rate));
}

INSTANTIATE_TEST_SUITE_P(ConditionNumbers, PolyakAtTheoremParameters,
                         ::testing::Values(2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8));

// To 1e-20 of the loss the window holds more than three periods of the slowest oscillation, 157
// iterations under THEOREM, which is what one per cent takes (docs/theory.md, section 6).
TEST(MeasuredRate, OfDiabetesIsWithinOnePercentOfTheDistanceFromOne) {
  QuadraticSpec spec;
  spec.hessian = LeastSquaresSpec{DatasetSpec{FindBuiltInDataset("datasets/diabetes")->data}, 0};
  spec.initial_point = Share(Vector(Vector::Zero(10)));
  StoppingRule stopping;
  stopping.relative_loss = 1e-20;
  for (const auto& [optimizer, tuning] :
       {std::pair(OptimizerSpec(GradientDescentSpec{}), Tuning::kTheorem),
        std::pair(OptimizerSpec(PolyakMomentumSpec{}), Tuning::kTheorem),
        std::pair(OptimizerSpec(PolyakMomentumSpec{}), Tuning::kAsymptotic),
        std::pair(OptimizerSpec(GradientDescentSpec{}), Tuning::kAsymptotic),
        std::pair(OptimizerSpec(NesterovMomentumSpec{}), Tuning::kTheorem)}) {
    const FinishedRun run = RunToEnd(spec, optimizer, stopping, tuning);
    const double predicted = run.theory.prediction.rate;
    ASSERT_TRUE(run.summary.windowed.valid());
    EXPECT_NEAR(run.summary.windowed.rate, predicted, 0.01 * (1 - predicted)) << optimizer.index();
  }
}

bool WarnsOfTargets(const FinishedRun& run) {
  return std::any_of(run.theory.warnings.begin(), run.theory.warnings.end(),
                     [](const std::string& warning) {
                       return warning.find("targets are large") != std::string::npos;
                     });
}

// Targets far beyond what the width can reach by small movements: the network converges, but at
// another rate than that of its start, and the preview says so.
TEST(MeasuredRate, OfAReluNetworkIsAnotherWhereTheTargetsAreTooLargeForTheWidth) {
  const Dataset& digits = *FindBuiltInDataset("datasets/digits")->data;
  StoppingRule stopping;
  stopping.relative_loss = 1e-8;
  int64_t iterations[2] = {};
  for (const int large : {0, 1}) {
    const Vector targets = digits.targets.topRows(20).col(0) * (large != 0 ? 300 : 1);
    ReluNetworkSpec spec = ReluNetwork(digits.features.topRows(20), targets, 256);
    spec.dataset.scaling = FeatureScaling::kUnitNorm;
    const FinishedRun run = RunToEnd(spec, PolyakMomentumSpec{}, stopping);
    EXPECT_EQ(run.progress.reason, StopReason::kConverged);
    EXPECT_EQ(WarnsOfTargets(run), large != 0);
    iterations[large] = run.summary.iterations;
  }
  EXPECT_GT(iterations[1], 1.5 * static_cast<double>(iterations[0]));
}

TEST(MeasuredRate, IsNotGivenWhereTheRunIsOverAtOnce) {
  const FinishedRun run =
      RunToEnd(Diagonal(Vector::Ones(3)), GradientDescentSpec{}, Iterations(100));
  EXPECT_EQ(run.theory.prediction.rate, 0);
  EXPECT_FALSE(run.summary.windowed.valid());
  EXPECT_EQ(run.summary.windowed.method, std::string_view("window too short"));
}

TEST(MeasuredRate, IsNotGivenWhereTheRunStartsAtItsEnd) {
  QuadraticSpec spec = Diagonal(LogUniform(4, 100));
  spec.initial_point = Share(Vector(Vector::Zero(4)));
  const FinishedRun run = RunToEnd(spec, PolyakMomentumSpec{}, Iterations(100));
  EXPECT_EQ(run.progress.reason, StopReason::kConverged);
  EXPECT_EQ(run.summary.iterations, 0);
  EXPECT_FALSE(run.summary.windowed.valid());
  EXPECT_FALSE(run.summary.overall.valid());
  EXPECT_EQ(run.summary.certificate.verdict, Verdict::kNotApplicable);
}

// p_t / p_0 of the double root at the top of the spectrum peaks at sqrt(kappa) / e: with r =
// (sqrt kappa - 1) / (sqrt kappa + 1) and z near 4, c_t = (-r)^t (1 + t (1 + r) / r) about, which
// is largest at t = 1 / |log r|. All of xi_0 in that eigenvector gives all of the peak.
TEST(Divergence, IsNotSeenInTheTransientOfTunedMomentum) {
  for (const double kappa : {1e2, 1e4, 1e6, 1e8, 1e10}) {
    Vector eigenvalues(2);
    eigenvalues << 1 / kappa, 1;
    QuadraticSpec spec = Diagonal(eigenvalues);
    spec.initial_point = Share(Vector(Vector::Unit(2, 1)));
    const double root = std::sqrt(kappa);
    const FinishedRun run =
        RunToEnd(spec, PolyakMomentumSpec{}, Iterations(static_cast<int64_t>(4 * root)),
                 Tuning::kAsymptotic);
    EXPECT_EQ(run.progress.reason, StopReason::kMaxIterations) << kappa;
    // The peak is that of (1 + t (1 + r) / r) r^t, less than 3 / sqrt kappa of it away; rounding
    // splits the double root by sqrt(32 eps) = 8e-8 against 1 - r = 2 / sqrt kappa, 1 % at 1e10.
    const double peak = root / std::exp(1.0);
    EXPECT_NEAR(run.summary.peak_ratio, peak, peak * (3 / root + 2e-7 * root)) << kappa;
    EXPECT_NEAR(static_cast<double>(run.summary.peak_iteration), root / 2, 2 + 0.05 * root);
  }
}

TEST(Divergence, IsNotSeenUnderTheoremParametersWhichHardlyPeak) {
  for (const double kappa : {1e2, 1e4, 1e6}) {
    const FinishedRun run = RunToEnd(Diagonal(LogUniform(10, kappa)), PolyakMomentumSpec{},
                                     Iterations(static_cast<int64_t>(20 * std::sqrt(kappa))));
    EXPECT_EQ(run.progress.reason, StopReason::kMaxIterations);
    EXPECT_LE(run.summary.peak_ratio, 1.5);
  }
}

// |xi_t| grows by |1 - 2.5| = 1.5 an iteration: p_t passes 1e12 p_0 when 1.5^t sqrt((1 + 1.5^-2) /
// 2) does.
TEST(Divergence, EndsTheRunAtTheFirstRecordBeyond) {
  const FinishedRun run =
      RunToEnd(Diagonal(Vector::Ones(2)), GradientDescentSpec{2.5}, Iterations(1000));
  EXPECT_EQ(run.progress.reason, StopReason::kDiverged);
  const double factor = std::sqrt((1 + 1 / 2.25) / 2);
  EXPECT_EQ(run.summary.iterations,
            static_cast<int64_t>(std::ceil(std::log(1e12 / factor) / std::log(1.5))));
}

TEST(Divergence, OfMomentumAndNetworksEndsTheRun) {
  const FinishedRun momentum =
      RunToEnd(Diagonal(LogUniform(3, 10)), PolyakMomentumSpec{3.9, 0.9}, Iterations(100000));
  EXPECT_EQ(momentum.progress.reason, StopReason::kDiverged);
  EXPECT_GT(momentum.theory.prediction.rate, 1);
  const FinishedRun linear =
      RunToEnd(DeepLinearNetwork(NormalEntries(1, 9, 3), NormalEntries(2, 9, 2), 8, 3),
               GradientDescentSpec{10.0}, Iterations(100000));
  EXPECT_EQ(linear.progress.reason, StopReason::kDiverged);
  EXPECT_LT(linear.summary.iterations, 1000);
}

}  // namespace
}  // namespace polyak
