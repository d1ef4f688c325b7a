// What holds of every reduced plan, whatever its coordinates.

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/plans/dense.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/plans/experiments.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;

struct Case {
  const PlanEntry* plan;
  Experiment experiment;
};

// Every reduced plan with every problem that it fits and every method.
std::vector<Case> EveryCase() {
  std::vector<Case> cases;
  for (const PlanEntry& plan : Plans()) {
    for (const ProblemSpec& spec : EverySpec()) {
      for (const OptimizerSpec& optimizer : EveryOptimizer()) {
        const Experiment experiment = {InstanceOf(spec), optimizer};
        if (plan.plan == ExecutionPlan::kReduced && plan.cost(spec, optimizer).has_value() &&
            plan.eligible(experiment).eligible) {
          cases.push_back({&plan, experiment});
        }
      }
    }
  }
  return cases;
}

std::unique_ptr<Stepper> Make(const Case& of) {
  auto stepper = of.plan->make(of.experiment, {});
  EXPECT_TRUE(stepper.ok()) << stepper.status();
  return *std::move(stepper);
}

std::vector<double> IterateOf(const Stepper& stepper) {
  base::StringSink sink;
  stepper.WriteIterate(sink);
  base::StringSource source(sink.bytes());
  std::vector<double> values;
  while (!source.at_end()) {
    values.push_back(source.ReadDouble());
  }
  EXPECT_TRUE(source.status().ok());
  return values;
}

TEST(ReducedPlans, GiveTheLossAndTheIterateOfDenseToRounding) {
  const auto cases = EveryCase();
  ASSERT_GE(cases.size(), 6u);
  for (const Case& of : cases) {
    const auto reduced = Make(of);
    const auto dense = *MakeDenseStepper(of.experiment);
    double initial_loss = 0;
    for (int t = 0; t < 200; ++t) {
      const Observation expected = dense->Observe();
      const Observation observed = reduced->Observe();
      initial_loss = t == 0 ? expected.loss : initial_loss;
      ASSERT_NEAR(observed.loss, expected.loss, 1e-13 * initial_loss) << of.plan->name << " " << t;
      ASSERT_NEAR(observed.residual_norm, expected.residual_norm,
                  1e-13 * std::sqrt(2 * initial_loss) + 1e-13 * expected.residual_norm);
      if (t % 50 == 0) {
        const std::vector<double> expected_iterate = IterateOf(*dense);
        const std::vector<double> iterate = IterateOf(*reduced);
        ASSERT_EQ(iterate.size(), expected_iterate.size());
        for (size_t i = 0; i < iterate.size(); ++i) {
          ASSERT_NEAR(iterate[i], expected_iterate[i], 1e-12) << of.plan->name << " " << t;
        }
      }
      if (std::isnan(dense->flipped_share())) {
        EXPECT_TRUE(std::isnan(reduced->flipped_share()));
      } else {
        EXPECT_EQ(reduced->flipped_share(), dense->flipped_share());
      }
      dense->Step();
      reduced->Step();
    }
  }
}

// Bits, with any NaN for any other.
void ExpectSame(const Observation& a, const Observation& b) {
  EXPECT_EQ(std::isnan(a.loss), std::isnan(b.loss));
  EXPECT_TRUE(a.loss == b.loss || std::isnan(a.loss)) << a.loss << " " << b.loss;
  EXPECT_TRUE(a.residual_norm == b.residual_norm || std::isnan(a.residual_norm));
}

void Advance(Stepper& stepper, int steps) {
  for (int t = 0; t < steps; ++t) {
    stepper.Step();
    stepper.Observe();
  }
}

TEST(ReducedPlans, GoOnToTheBitFromASavedState) {
  for (const Case& of : EveryCase()) {
    for (const int cut : {0, 1, 2, 25, 60}) {
      const auto whole = Make(of);
      whole->Observe();
      Advance(*whole, cut);
      const std::string state = StateOf(*whole);
      const auto loaded = Make(of);
      const absl::Status status = LoadState(*loaded, state);
      ASSERT_TRUE(status.ok()) << of.plan->name << " " << status;
      EXPECT_EQ(StateOf(*loaded), state) << of.plan->name;
      EXPECT_TRUE(std::isnan(whole->flipped_share())
                      ? std::isnan(loaded->flipped_share())
                      : loaded->flipped_share() == whole->flipped_share());
      EXPECT_EQ(IterateOf(*loaded), IterateOf(*whole)) << of.plan->name;
      for (int t = 0; t < 80; ++t) {
        whole->Step();
        loaded->Step();
        ExpectSame(loaded->Observe(), whole->Observe());
      }
      EXPECT_EQ(StateOf(*loaded), StateOf(*whole)) << of.plan->name;
    }
  }
}

TEST(ReducedPlans, StartFromAStateThatWasSavedBeforeTheFirstObservation) {
  for (const Case& of : EveryCase()) {
    const auto whole = Make(of);
    const auto loaded = Make(of);
    ASSERT_TRUE(LoadState(*loaded, StateOf(*whole)).ok());
    ExpectSame(loaded->Observe(), whole->Observe());
    Advance(*whole, 5);
    Advance(*loaded, 5);
    EXPECT_EQ(StateOf(*loaded), StateOf(*whole));
  }
}

TEST(ReducedPlans, GoOnFromTheStateOfARunThatLeftTheNumbers) {
  for (Case of : EveryCase()) {
    of.experiment.optimizer = PolyakMomentumSpec{1e200, 0.9};
    const auto whole = Make(of);
    whole->Observe();
    Advance(*whole, 8);
    ASSERT_FALSE(std::isfinite(whole->Observe().loss)) << of.plan->name;
    EXPECT_TRUE(LoadState(*Make(of), StateOf(*whole)).ok()) << of.plan->name;
  }
}

TEST(ReducedPlans, RefuseTheStateOfAnotherPlanOrMethod) {
  for (const Case& of : EveryCase()) {
    const auto dense = *MakeDenseStepper(of.experiment);
    dense->Observe();
    EXPECT_TRUE(absl::IsDataLoss(LoadState(*Make(of), StateOf(*dense)))) << of.plan->name;
    const auto reduced = Make(of);
    reduced->Observe();
    EXPECT_FALSE(LoadState(*dense, StateOf(*reduced)).ok()) << of.plan->name;
    for (const OptimizerSpec& optimizer : EveryOptimizer()) {
      const auto other = Make({of.plan, {of.experiment.problem, optimizer}});
      EXPECT_EQ(LoadState(*other, StateOf(*reduced)).ok(),
                optimizer.index() == of.experiment.optimizer.index());
    }
  }
}

TEST(ReducedPlans, NoDamagedStateIsMoreThanRefused) {
  std::mt19937_64 random(7);
  for (const Case& of : EveryCase()) {
    const auto whole = Make(of);
    whole->Observe();
    Advance(*whole, 10);
    const std::string state = StateOf(*whole);
    for (int k = 0; k < 200; ++k) {
      const auto loaded = Make(of);
      if (LoadState(*loaded, testing_support::Damaged(state, random)).ok()) {
        Advance(*loaded, 3);  // damage that no check can see: the checkpoint's checksum does
      }
    }
  }
}

}  // namespace
}  // namespace polyak::engine
