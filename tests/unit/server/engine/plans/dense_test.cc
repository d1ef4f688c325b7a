#include "server/engine/plans/dense.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/plans/experiments.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;
using ::testing::HasSubstr;

std::unique_ptr<Stepper> MakeStepper(const Experiment& experiment) {
  auto stepper = MakeDenseStepper(experiment);
  EXPECT_TRUE(stepper.ok()) << stepper.status();
  return *std::move(stepper);
}

// The networks' steppers sum in another order: each loss is off by the rounding of a few sums of
// products more than the last, of at most 32 terms each.
double Allowed(const ProblemInstance& instance, int iteration, double initial_loss) {
  constexpr double kTerms = 100;
  return std::holds_alternative<std::shared_ptr<const QuadraticInstance>>(instance)
             ? 0
             : (iteration + 1) * kTerms * std::numeric_limits<double>::epsilon() * initial_loss;
}

// Tiles are filled up with zeros, which an image beyond the numbers must not turn into NaN.
TEST(DenseStepper, OverflowsAsTheProblemDoesAtAnyWidth) {
  for (const int64_t width : {5, 8}) {
    auto data = std::make_shared<Dataset>();
    data->features = Matrix::Ones(2, 2);
    data->targets = Matrix::Ones(2, 1);
    DeepLinearNetworkSpec spec;
    spec.dataset.source = std::shared_ptr<const Dataset>(data);
    spec.width = width;
    spec.depth = 4;
    const Matrix hidden = Matrix::Constant(width, width, 1e200);
    spec.initial_weights = std::make_shared<const std::vector<Matrix>>(std::vector<Matrix>{
        Matrix::Constant(width, 2, 1e200), hidden, hidden, Matrix::Constant(1, width, 1e200)});
    const ProblemInstance instance = InstanceOf(spec);
    const auto problem = MakeProblem(instance);
    const auto stepper = MakeStepper({instance, GradientDescentSpec{0.1}});
    EXPECT_TRUE(std::isinf(problem->Evaluate(problem->initial_point(), nullptr).loss)) << width;
    EXPECT_TRUE(std::isinf(stepper->Observe().loss)) << width;
  }
}

TEST(DenseCost, CountsTheZerosThatTilesAreFilledUpWith) {
  ReluNetworkSpec spec;
  SyntheticDataSpec data;
  data.kind = SyntheticKind::kUnitSphere;
  data.examples = 1;
  data.input_dimension = 1;
  spec.dataset.source = data;
  spec.width = 1'000'000;
  // Weights and memory of one column, which takes the room of eight.
  EXPECT_GT(DenseCost(spec, PolyakMomentumSpec{})->bytes, 2.0 * 8 * 8 * 1e6);
}

TEST(DenseStepper, IsTheProblemAndTheOptimizerByHand) {
  for (const ProblemInstance& instance : EveryProblem()) {
    for (const OptimizerSpec& spec : EveryOptimizer()) {
      const auto stepper = MakeStepper({instance, spec});
      const auto problem = MakeProblem(instance);
      const auto optimizer = MakeOptimizer(spec, problem->initial_point());
      Vector gradient(problem->dimension());
      double initial_loss = 0;
      for (int t = 0; t < 60; ++t) {
        const Observation expected = problem->Evaluate(optimizer->iterate(), &gradient);
        const Observation observed = stepper->Observe();
        initial_loss = t == 0 ? expected.loss : initial_loss;
        const double allowed = Allowed(instance, t, initial_loss);
        ASSERT_NEAR(observed.loss, expected.loss, allowed) << instance.index() << " " << t;
        ASSERT_NEAR(observed.residual_norm * observed.residual_norm,
                    expected.residual_norm * expected.residual_norm,
                    2 * allowed + 4 * std::numeric_limits<double>::epsilon() * expected.loss);
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

// Bits, with any NaN for any other.
void ExpectSame(const Observation& a, const Observation& b) {
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.residual_norm, b.residual_norm);
}

void Advance(Stepper& stepper, int steps) {
  for (int t = 0; t < steps; ++t) {
    stepper.Step();
    stepper.Observe();
  }
}

TEST(DenseStepper, GoesOnToTheBitFromASavedStateThatHoldsNoGradient) {
  for (const ProblemInstance& instance : EveryProblem()) {
    for (const OptimizerSpec& spec : EveryOptimizer()) {
      for (const int cut : {0, 1, 25}) {
        const auto whole = MakeStepper({instance, spec});
        whole->Observe();
        Advance(*whole, cut);
        const auto loaded = MakeStepper({instance, spec});
        ASSERT_TRUE(LoadState(*loaded, StateOf(*whole)).ok());
        // Of the loaded iterate, evaluated again: NaN for the problems without activations.
        EXPECT_TRUE(std::isnan(whole->flipped_share())
                        ? std::isnan(loaded->flipped_share())
                        : loaded->flipped_share() == whole->flipped_share());
        for (int t = 0; t < 60; ++t) {
          whole->Step();
          loaded->Step();
          ExpectSame(loaded->Observe(), whole->Observe());
        }
        EXPECT_EQ(StateOf(*loaded), StateOf(*whole));
      }
    }
  }
}

TEST(DenseStepper, StartsFromAStateThatWasSavedBeforeTheFirstObservation) {
  for (const ProblemInstance& instance : EveryProblem()) {
    const Experiment experiment = {instance, EveryOptimizer()[2]};
    const auto whole = MakeStepper(experiment);
    const auto loaded = MakeStepper(experiment);
    ASSERT_TRUE(LoadState(*loaded, StateOf(*whole)).ok());
    ExpectSame(loaded->Observe(), whole->Observe());
    Advance(*whole, 5);
    Advance(*loaded, 5);
    EXPECT_EQ(StateOf(*loaded), StateOf(*whole));
  }
}

TEST(DenseStepper, GoesOnFromTheStateOfARunThatLeftTheNumbers) {
  for (const ProblemInstance& instance : EveryProblem()) {
    const Experiment experiment = {instance, PolyakMomentumSpec{1e200, 0.9}};
    const auto whole = MakeStepper(experiment);
    whole->Observe();
    Advance(*whole, 8);
    ASSERT_FALSE(std::isfinite(whole->Observe().loss));
    EXPECT_TRUE(LoadState(*MakeStepper(experiment), StateOf(*whole)).ok());
  }
}

TEST(DenseStepper, RefusesAStateWhoseIterateHasAnotherLossHere) {
  for (const ProblemInstance& instance : EveryProblem()) {
    const Experiment experiment = {instance, EveryOptimizer()[0]};
    const auto whole = MakeStepper(experiment);
    whole->Observe();
    Advance(*whole, 3);
    std::string state = StateOf(*whole);
    state[30] = static_cast<char>(state[30] ^ 8);  // a leading bit of the first coordinate
    const absl::Status status = LoadState(*MakeStepper(experiment), state);
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_THAT(std::string{status.message()}, HasSubstr("the loss of a saved iterate"));
  }
}

TEST(DenseStepper, RefusesTheStateOfAnotherProblem) {
  for (const ProblemInstance& saved : EveryProblem()) {
    const auto whole = MakeStepper({saved, EveryOptimizer()[1]});
    whole->Observe();
    Advance(*whole, 3);
    for (const ProblemInstance& other : EveryProblem()) {
      const auto stepper = MakeStepper({other, EveryOptimizer()[1]});
      const bool same = MakeProblem(saved)->dimension() == MakeProblem(other)->dimension();
      EXPECT_EQ(LoadState(*stepper, StateOf(*whole)).ok(), same);
    }
  }
}

}  // namespace
}  // namespace polyak::engine
