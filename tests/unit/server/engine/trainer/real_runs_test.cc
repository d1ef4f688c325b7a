// The trainer over real problems: the same bits however a run is cut, transients, its companions.

#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numbers>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/run.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::RowRecorder;
using ::polyak::testing_support::RunToEnd;

// NaN equals NaN, and nothing else but the same bits equals.
std::vector<uint64_t> Bits(const RowRecorder& rows) {
  std::vector<uint64_t> bits;
  for (const auto* column : {&rows.loss, &rows.residual_norm, &rows.rate_estimate}) {
    for (const double value : *column) {
      bits.push_back(std::bit_cast<uint64_t>(value));
    }
  }
  return bits;
}

ProblemSpec FullQuadratic() {
  SyntheticDataSpec synthetic;
  synthetic.examples = 40;
  synthetic.input_dimension = 15;
  synthetic.condition_number = 12;
  QuadraticSpec spec;
  spec.hessian = LeastSquaresSpec{DatasetSpec{synthetic}, 0};
  return spec;
}

ProblemSpec ReluNetwork() {
  SyntheticDataSpec synthetic;
  synthetic.kind = SyntheticKind::kUnitSphere;
  synthetic.examples = 8;
  synthetic.input_dimension = 12;
  ReluNetworkSpec spec;
  spec.dataset = DatasetSpec{synthetic};
  spec.width = 200;
  return spec;
}

ProblemSpec DeepLinearNetwork() {
  SyntheticDataSpec synthetic;
  synthetic.examples = 20;
  synthetic.input_dimension = 6;
  synthetic.output_dimension = 2;
  synthetic.condition_number = 3;
  DeepLinearNetworkSpec spec;
  spec.dataset = DatasetSpec{synthetic};
  spec.width = 16;
  spec.depth = 3;
  return spec;
}

StoppingRule AtMost(int64_t iterations) {
  StoppingRule stopping;
  stopping.max_iterations = iterations;
  return stopping;
}

TEST(RealRuns, RecordsAndSummaryDoNotDependOnHowARunIsCut) {
  for (const ProblemSpec& problem : {FullQuadratic(), ReluNetwork(), DeepLinearNetwork()}) {
    for (const OptimizerSpec& optimizer :
         {OptimizerSpec(GradientDescentSpec{}), OptimizerSpec(PolyakMomentumSpec{}),
          OptimizerSpec(NesterovMomentumSpec{})}) {
      const auto run = [&](int64_t slice) {
        return RunToEnd(problem, optimizer, AtMost(300), Tuning::kTheorem, Seed{1}, slice);
      };
      const FinishedRun whole = run(100000);
      ASSERT_EQ(whole.rows.loss.size(), 301u);
      for (const int64_t slice : {1, 2, 3, 7, 64, 299, 300, 301}) {
        const FinishedRun cut = run(slice);
        ASSERT_EQ(Bits(cut.rows), Bits(whole.rows)) << slice;
        EXPECT_EQ(cut.progress.reason, whole.progress.reason);
        EXPECT_EQ(cut.summary.final_loss, whole.summary.final_loss);
        EXPECT_EQ(std::bit_cast<uint64_t>(cut.summary.windowed.rate),
                  std::bit_cast<uint64_t>(whole.summary.windowed.rate));
        EXPECT_EQ(cut.summary.certificate.least_slack, whole.summary.certificate.least_slack);
      }
    }
  }
}

TEST(RealRuns, AStartAtTheMinimiserIsConvergedAtRecordZero) {
  QuadraticSpec spec;
  spec.hessian = GeneratedSpectrumSpec{3, 10, 1, SpectrumShape::kUniform};
  spec.initial_point = std::make_shared<Vector>(Vector::Zero(3));
  const FinishedRun run = RunToEnd(spec, PolyakMomentumSpec{}, AtMost(100));
  EXPECT_EQ(run.progress.reason, StopReason::kConverged);
  EXPECT_EQ(run.rows.loss, (std::vector<double>{0}));
  EXPECT_FALSE(run.summary.windowed.valid());
  EXPECT_EQ(run.summary.certificate.verdict, Verdict::kNotApplicable);
}

TEST(RealRuns, TransientGrowthOfMomentumIsNoDivergence) {
  // ASYMPTOTIC parameters at kappa = 1e8, started in the top eigenvector: p_t / p_0 rises to
  // sqrt(kappa) / e = 3,679 before it falls (docs/theory.md, section 6).
  constexpr double kKappa = 1e8;
  QuadraticSpec spec;
  spec.hessian = GeneratedSpectrumSpec{2, kKappa, 1, SpectrumShape::kUniform};
  Vector top(2);
  top << 0, 1;
  spec.initial_point = std::make_shared<Vector>(top);
  StoppingRule stopping = AtMost(1000000);
  stopping.relative_loss = 1e-8;
  const FinishedRun run = RunToEnd(spec, PolyakMomentumSpec{}, stopping, Tuning::kAsymptotic);
  EXPECT_EQ(run.progress.reason, StopReason::kConverged);
  // The formula leaves out terms of relative size 1 / sqrt(kappa); the peak lies where t (1 - rate)
  // is 1.
  const double root = std::sqrt(kKappa);
  const double peak = root / std::numbers::e;
  EXPECT_NEAR(run.summary.peak_ratio, peak, 4 / root * peak);
  EXPECT_NEAR(static_cast<double>(run.summary.peak_iteration), root / 2, 4);
}

TEST(RealRuns, AStepTooLongDiverges) {
  const FinishedRun run = RunToEnd(FullQuadratic(), GradientDescentSpec{10.0}, AtMost(100000));
  EXPECT_EQ(run.progress.reason, StopReason::kDiverged);
  EXPECT_GT(run.rows.residual_norm.back(), 1e11 * run.rows.residual_norm.front());
  EXPECT_TRUE(std::isfinite(run.rows.residual_norm.back()));  // caught on the way
  for (size_t t = 0; t + 1 < run.rows.residual_norm.size(); ++t) {
    EXPECT_LE(std::hypot(run.rows.residual_norm[t], run.rows.residual_norm[t > 0 ? t - 1 : 0]),
              1e12 * std::sqrt(2.0) * run.rows.residual_norm[0]);
  }
}

TEST(RealRuns, TheRateColumnAndTheCertificateAreThoseOfTheRecords) {
  const FinishedRun run = RunToEnd(FullQuadratic(), PolyakMomentumSpec{}, AtMost(400));
  auto instance = Instantiate(FullQuadratic(), Seed{});
  ASSERT_TRUE(instance.ok());
  const double floor = RoundingFloor(*instance, run.rows.residual_norm[0]);
  RateEstimator rates(floor);
  CertificateChecker checker(run.theory.bound, run.theory.prediction.assumptions, floor);
  double previous = run.rows.residual_norm[0];
  for (size_t t = 0; t < run.rows.residual_norm.size(); ++t) {
    const double norm = run.rows.residual_norm[t];
    const double stacked = std::sqrt(norm * norm + previous * previous);
    rates.Add(stacked);
    checker.Add(static_cast<int64_t>(t), norm, stacked);
    EXPECT_EQ(std::bit_cast<uint64_t>(run.rows.rate_estimate[t]),
              std::bit_cast<uint64_t>(rates.column()))
        << t;
    previous = norm;
  }
  ASSERT_TRUE(run.summary.windowed.valid());
  EXPECT_EQ(run.summary.windowed.rate, rates.Windowed().rate);
  EXPECT_EQ(run.summary.certificate.verdict, checker.certificate().verdict);
  EXPECT_EQ(run.summary.certificate.verdict, Verdict::kPass);
  EXPECT_EQ(run.summary.certificate.least_slack, checker.certificate().least_slack);
  EXPECT_EQ(run.summary.certificate.iterations_checked, checker.certificate().iterations_checked);
}

}  // namespace
}  // namespace polyak::engine
