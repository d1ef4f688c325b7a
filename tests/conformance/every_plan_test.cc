// What every plan promises of every problem under every method: the same bits from the same spec
// and seed, however the run is cut and whatever runs beside it; records 0 .. T; the same network at
// the start. A new problem, optimizer or plan comes in by itself, or the first test says what is
// missing.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/conformance/samples.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::RowRecorder;

constexpr int64_t kIterations = 150;

TEST(EveryPlan, IsTriedOnEveryKindOfProblemAndOptimizer) {
  std::set<size_t> problems;
  for (const Sample& sample : Samples()) {
    problems.insert(sample.spec.index());
  }
  EXPECT_EQ(problems.size(), std::variant_size_v<ProblemSpec>);
  std::set<size_t> optimizers;
  for (const OptimizerSpec& optimizer : Optimizers()) {
    optimizers.insert(optimizer.index());
  }
  EXPECT_EQ(optimizers.size(), std::variant_size_v<OptimizerSpec>);
  std::set<std::string_view> plans;
  for (const Sample& sample : Samples()) {
    for (const PlanEntry* plan :
         PlansFor(Prepare(sample.spec, GradientDescentSpec{}, Seed{1}).experiment)) {
      plans.insert(plan->name);
    }
  }
  EXPECT_EQ(plans.size(), Plans().size());
}

StoppingRule Iterations(int64_t iterations) {
  StoppingRule stopping;
  stopping.max_iterations = iterations;
  return stopping;
}

std::vector<uint64_t> Bits(const RowRecorder& rows) {
  std::vector<uint64_t> bits;
  for (size_t t = 0; t < rows.loss.size(); ++t) {
    for (const double value : {rows.loss[t], rows.residual_norm[t], rows.rate_estimate[t]}) {
      bits.push_back(std::bit_cast<uint64_t>(value));
    }
  }
  return bits;
}

class EveryPlan : public ::testing::TestWithParam<Sample> {
 protected:
  // Calls test(prepared, plan) for each method and each plan that can run it.
  template <typename Test>
  void ForEach(const Test& test) {
    for (const OptimizerSpec& optimizer : Optimizers()) {
      const Prepared prepared = Prepare(GetParam().spec, optimizer, Seed{5});
      for (const PlanEntry* plan : PlansFor(prepared.experiment)) {
        SCOPED_TRACE(std::string(plan->name) + ", optimizer " + std::to_string(optimizer.index()));
        test(prepared, *plan);
      }
    }
  }
};

TEST_P(EveryPlan, GivesTheSameBitsTwice) {
  ForEach([&](const Prepared& prepared, const PlanEntry& plan) {
    // From the spec once more: data, spectrum and weights are drawn and computed again.
    const Prepared again = Prepare(GetParam().spec, prepared.experiment.optimizer, Seed{5});
    EXPECT_EQ(Bits(RunByPlan(prepared, plan, Iterations(kIterations)).rows),
              Bits(RunByPlan(again, plan, Iterations(kIterations)).rows));
  });
}

TEST_P(EveryPlan, GivesTheSameBitsInAnySlices) {
  ForEach([&](const Prepared& prepared, const PlanEntry& plan) {
    const auto whole = Bits(RunByPlan(prepared, plan, Iterations(kIterations)).rows);
    for (const std::vector<int64_t>& slices :
         {std::vector<int64_t>{1}, {1, 2, 3, 50}, {kIterations}, {7, 1}}) {
      EXPECT_EQ(whole, Bits(RunByPlan(prepared, plan, Iterations(kIterations), slices).rows));
    }
  });
}

TEST_P(EveryPlan, GivesTheSameBitsBesideAnotherRun) {
  ForEach([&](const Prepared& prepared, const PlanEntry& plan) {
    const auto alone = Bits(RunByPlan(prepared, plan, Iterations(kIterations)).rows);
    RowRecorder first_rows;
    RowRecorder second_rows;
    base::StopToken stop;
    // One experiment, shared: what two jobs of one spec would do.
    Trainer first(prepared.experiment, prepared.theory, Iterations(kIterations),
                  *plan.make(prepared.experiment, {}), first_rows, stop);
    Trainer second(prepared.experiment, prepared.theory, Iterations(kIterations),
                   *plan.make(prepared.experiment, {}), second_rows, stop);
    bool running = true;
    while (running) {
      running = first.Advance(1).running();
      running = second.Advance(3).running() || running;
    }
    EXPECT_EQ(alone, Bits(first_rows));
    EXPECT_EQ(alone, Bits(second_rows));
  });
}

TEST_P(EveryPlan, RecordsIterationsZeroToTheLast) {
  ForEach([&](const Prepared& prepared, const PlanEntry& plan) {
    for (const int64_t iterations : {int64_t{0}, int64_t{1}, kIterations}) {
      const FinishedRun run = RunByPlan(prepared, plan, Iterations(iterations));
      EXPECT_EQ(run.progress.reason, StopReason::kMaxIterations);
      EXPECT_EQ(run.progress.iteration, iterations);
      EXPECT_EQ(run.summary.iterations, iterations);
      ASSERT_EQ(run.rows.loss.size(), static_cast<size_t>(iterations) + 1);
      EXPECT_EQ(run.summary.initial_loss, run.rows.loss.front());
      EXPECT_EQ(run.summary.final_loss, run.rows.loss.back());
      EXPECT_EQ(run.summary.final_residual_norm, run.rows.residual_norm.back());
    }
  });
}

TEST_P(EveryPlan, StartsWhereTheLiteralProblemStarts) {
  ForEach([&](const Prepared& prepared, const PlanEntry& plan) {
    const auto problem = MakeProblem(prepared.experiment.problem);
    const Observation literal = problem->Evaluate(problem->initial_point(), nullptr);
    const FinishedRun run = RunByPlan(prepared, plan, Iterations(0));
    // The same numbers in another order: sums of at most 512 terms, 512 eps = 1.2e-13 of their
    // size, which cancellation against the targets leaves within a factor of 10 here.
    EXPECT_NEAR(run.rows.loss[0], literal.loss, 1e-12 * literal.loss);
    EXPECT_NEAR(run.rows.residual_norm[0], literal.residual_norm, 1e-12 * literal.residual_norm);
  });
}

TEST_P(EveryPlan, IsAnotherRunWithAnotherSeed) {
  const Sample& sample = GetParam();
  const Prepared one = Prepare(sample.spec, PolyakMomentumSpec{}, Seed{5});
  const Prepared two = Prepare(sample.spec, PolyakMomentumSpec{}, Seed{6});
  for (const PlanEntry* plan : PlansFor(one.experiment)) {
    EXPECT_NE(Bits(RunByPlan(one, *plan, Iterations(3)).rows),
              Bits(RunByPlan(two, *plan, Iterations(3)).rows));
  }
}

TEST_P(EveryPlan, RecordsTheLossOfANetworkAsHalfItsSquaredResidual) {
  ForEach([&](const Prepared& prepared, const PlanEntry& plan) {
    const bool network = !std::holds_alternative<QuadraticSpec>(GetParam().spec);
    const FinishedRun run = RunByPlan(prepared, plan, Iterations(kIterations));
    for (size_t t = 0; t < run.rows.loss.size(); ++t) {
      const double residual = run.rows.residual_norm[t];
      if (network) {
        // One root and one square: 2 eps of the loss.
        EXPECT_NEAR(run.rows.loss[t], residual * residual / 2, 1e-15 * run.rows.loss[t]) << t;
      } else {
        // mu/2 |xi|^2 <= f - f* <= alpha/2 |xi|^2. To the rounding of the product H w and of w*.
        const double rounding = 1e-14 * run.rows.loss[0];
        EXPECT_GE(run.rows.loss[t] + rounding,
                  run.theory.prediction.smallest_eigenvalue * residual * residual / 2);
        EXPECT_LE(run.rows.loss[t] - rounding,
                  run.theory.prediction.largest_eigenvalue * residual * residual / 2);
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Samples, EveryPlan, ::testing::ValuesIn(Samples()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace polyak::conformance
