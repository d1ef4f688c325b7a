#include "server/engine/plans/dense.h"

#include <cmath>
#include <memory>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/plans/experiments.h"

namespace polyak::engine {
namespace {

std::unique_ptr<Stepper> MakeStepper(const Experiment& experiment) {
  auto stepper = MakeDenseStepper(experiment);
  EXPECT_TRUE(stepper.ok()) << stepper.status();
  return *std::move(stepper);
}

TEST(DenseStepper, IsTheProblemAndTheOptimizerByHandToTheBit) {
  for (const ProblemInstance& instance : EveryProblem()) {
    for (const OptimizerSpec& spec : EveryOptimizer()) {
      const auto stepper = MakeStepper({instance, spec});
      const auto problem = MakeProblem(instance);
      const auto optimizer = MakeOptimizer(spec, problem->initial_point());
      Vector gradient(problem->dimension());
      for (int t = 0; t < 60; ++t) {
        const Observation expected = problem->Evaluate(optimizer->iterate(), &gradient);
        const Observation observed = stepper->Observe();
        ASSERT_EQ(observed.loss, expected.loss) << instance.index() << " " << t;
        ASSERT_EQ(observed.residual_norm, expected.residual_norm);
        if (std::isnan(problem->flipped_share())) {
          EXPECT_TRUE(std::isnan(stepper->flipped_share()));
        } else {
          EXPECT_EQ(stepper->flipped_share(), problem->flipped_share());
        }
        optimizer->Update(gradient);
        stepper->Step();
      }
    }
  }
}

TEST(DenseStepper, TwoOfOneExperimentDoNotTouchEachOther) {
  for (const ProblemInstance& instance : EveryProblem()) {
    const Experiment experiment = {instance, EveryOptimizer()[1]};
    const auto alone = MakeStepper(experiment);
    const auto first = MakeStepper(experiment);
    const auto second = MakeStepper(experiment);
    for (int t = 0; t < 20; ++t) {
      const Observation expected = alone->Observe();
      EXPECT_EQ(first->Observe().loss, expected.loss);
      alone->Step();
      first->Step();
      second->Observe();
      second->Step();
      second->Observe();  // a step ahead, then two ...
      second->Step();
    }
  }
}

TEST(DenseStepper, KnowsFlippedActivationsOfReluNetworksOnly) {
  for (const ProblemInstance& instance : EveryProblem()) {
    const auto stepper = MakeStepper({instance, EveryOptimizer()[1]});
    stepper->Observe();
    if (std::holds_alternative<std::shared_ptr<const ReluNetworkInstance>>(instance)) {
      EXPECT_EQ(stepper->flipped_share(), 0);  // none at the start
      for (int t = 0; t < 60; ++t) {
        stepper->Step();
        stepper->Observe();
      }
      EXPECT_GT(stepper->flipped_share(), 0);  // width 32: some do
      EXPECT_LT(stepper->flipped_share(), 1);
    } else {
      EXPECT_TRUE(std::isnan(stepper->flipped_share()));
    }
  }
}

}  // namespace
}  // namespace polyak::engine
