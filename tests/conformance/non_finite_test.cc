// A run that leaves the numbers says so: its rows hold what the arithmetic gave, and it ends as
// DIVERGED at the first of them.

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/conformance/samples.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::RunToEnd;

OptimizerSpec WithStepSize(OptimizerSpec optimizer, double step_size) {
  std::visit([&](auto& method) { method.step_size = step_size; }, optimizer);
  return optimizer;
}

class NonFinite : public ::testing::TestWithParam<Sample> {};

TEST_P(NonFinite, ValuesAreRecordedAndEndTheRun) {
  for (const OptimizerSpec& optimizer : Optimizers()) {
    SCOPED_TRACE(optimizer.index());
    // One update past the largest number, so that record 1 cannot be finite.
    const FinishedRun run = RunToEnd(GetParam().spec, WithStepSize(optimizer, 1e308),
                                     StoppingRule{}, Tuning::kTheorem, Seed{2});
    EXPECT_EQ(run.progress.reason, StopReason::kDiverged);
    ASSERT_EQ(run.rows.loss.size(), 2U);
    EXPECT_TRUE(std::isfinite(run.rows.loss[0]));
    EXPECT_FALSE(std::isfinite(run.rows.loss[1])) << run.rows.loss[1];
    EXPECT_FALSE(std::isfinite(run.rows.residual_norm[1])) << run.rows.residual_norm[1];
    EXPECT_FALSE(std::isfinite(run.summary.final_loss));
    EXPECT_EQ(run.summary.iterations, 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Samples, NonFinite, ::testing::ValuesIn(Samples()),
                         [](const auto& info) { return info.param.name; });

// Only a quadratic must grow beyond its limit of stability: a network may land on its other side.
TEST(NonFiniteQuadratic, GrowthWithinTheNumbersEndsTheRunToo) {
  for (const Sample& sample : Samples()) {
    if (!std::holds_alternative<QuadraticSpec>(sample.spec)) {
      continue;
    }
    for (const OptimizerSpec& optimizer : Optimizers()) {
      SCOPED_TRACE(sample.name + ", optimizer " + std::to_string(optimizer.index()));
      const Prepared stable = Prepare(sample.spec, optimizer, Seed{2});
      // Beyond 2 (1 + beta) / alpha, the limit of every method.
      const FinishedRun run = RunToEnd(
          sample.spec, WithStepSize(optimizer, 4.5 / stable.theory.prediction.largest_eigenvalue),
          StoppingRule{}, Tuning::kTheorem, Seed{2});
      EXPECT_EQ(run.progress.reason, StopReason::kDiverged);
      const size_t last = run.rows.loss.size() - 1;
      ASSERT_GE(last, 2U);
      const double level = 1e12 * std::sqrt(2.0) * run.rows.residual_norm[0];
      EXPECT_TRUE(std::isfinite(run.rows.loss[last]));
      EXPECT_GT(std::hypot(run.rows.residual_norm[last], run.rows.residual_norm[last - 1]), level);
      EXPECT_LE(std::hypot(run.rows.residual_norm[last - 1], run.rows.residual_norm[last - 2]),
                level);
    }
  }
}

// Weights of opposite infinities make an activation that is no number. It must not pass for one
// that is below its kink: the loss would be the finite one of a dead network.
TEST(NonFiniteReluNetwork, AnActivationThatIsNoNumberIsNoDeadNeuron) {
  // f = (1, 2) at the start, so xi = (-1500, 1000), and the gradient xi_1 x_1 + xi_2 x_2 = (500,
  // -500).
  auto data = std::make_shared<Dataset>();
  data->features = Matrix{{1, 1}, {2, 1}};
  data->targets = Matrix{{1501}, {-998}};
  ReluNetworkSpec spec;
  spec.dataset.source = std::shared_ptr<const Dataset>(data);
  spec.width = 1;
  spec.initial_hidden_weights = std::make_shared<Matrix>(Matrix{{1, 0}});
  spec.output_weights = std::make_shared<Vector>(Vector{{1}});
  StoppingRule stopping;
  stopping.max_iterations = 10;
  const FinishedRun run = RunToEnd(spec, GradientDescentSpec{1e308}, stopping);
  // w_1 = (-inf, inf): both activations are -inf + inf.
  EXPECT_EQ(run.progress.reason, StopReason::kDiverged);
  ASSERT_EQ(run.rows.loss.size(), 2U);
  EXPECT_TRUE(std::isnan(run.rows.loss[1])) << run.rows.loss[1];
  EXPECT_TRUE(std::isnan(run.rows.residual_norm[1])) << run.rows.residual_norm[1];
}

}  // namespace
}  // namespace polyak::conformance
