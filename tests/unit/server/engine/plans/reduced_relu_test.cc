#include "server/engine/plans/reduced_relu.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/plans/dense.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/plans/experiments.h"
#include "tests/unit/server/engine/plans/relu_networks.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;
using ::testing::HasSubstr;

// Large targets and slow: most activations are looked at again and again, so that products are
// cheaper and the run changes its form.
Experiment Restless() {
  return {ProblemInstance(DrawnNetwork(40, 12, 3, 30)), PolyakMomentumSpec{0.2, 0.95}};
}

TEST(ReducedReluStepper, ChangesItsFormByCountedWorkAndStaysExact) {
  const Experiment experiment = Restless();
  const auto reduced = MakeReducedReluStepper(experiment).value();
  const auto dense = MakeDenseStepper(experiment).value();
  double largest = 0;
  bool changed = false;
  for (int t = 0; t < 200; ++t) {
    const Observation expected = dense->Observe();
    largest = std::max(largest, expected.loss);
    ASSERT_NEAR(reduced->Observe().loss, expected.loss, 1e-11 * largest) << t;
    EXPECT_EQ(reduced->flipped_share(), dense->flipped_share()) << t;
    const std::string state = StateOf(*reduced);
    // After the head of five numbers: the form.
    changed = changed || state[40] == 1;
    reduced->Step();
    dense->Step();
  }
  EXPECT_TRUE(changed);
}

TEST(ReducedReluStepper, GoesOnToTheBitOverTheChangeOfForm) {
  const Experiment experiment = Restless();
  for (const int cut : {3, 15, 16, 40, 150}) {
    const auto whole = MakeReducedReluStepper(experiment).value();
    whole->Observe();
    for (int t = 0; t < cut; ++t) {
      whole->Step();
      whole->Observe();
    }
    const auto loaded = MakeReducedReluStepper(experiment).value();
    ASSERT_TRUE(LoadState(*loaded, StateOf(*whole)).ok());
    for (int t = 0; t < 60; ++t) {
      whole->Step();
      loaded->Step();
      ASSERT_EQ(loaded->Observe().loss, whole->Observe().loss) << cut << " " << t;
    }
  }
}

TEST(ReducedReluPlan, FitsReluNetworksAlone) {
  for (const ProblemSpec& spec : EverySpec()) {
    const bool relu = std::holds_alternative<ReluNetworkSpec>(spec);
    EXPECT_EQ(ReducedReluCost(spec, EveryOptimizer()[1]).has_value(), relu);
    const Eligibility eligibility = ReducedReluEligible({InstanceOf(spec), EveryOptimizer()[1]});
    EXPECT_EQ(eligibility.eligible, relu);
    EXPECT_THAT(eligibility.reason, HasSubstr(relu ? "event by event" : "no ReLU network"));
  }
}

TEST(ReducedReluPlan, TakesLittleForVeryWideNetworks) {
  ReluNetworkSpec spec;
  SyntheticDataSpec data;
  data.kind = SyntheticKind::kUnitSphere;
  data.examples = 20;
  data.input_dimension = 20;
  spec.dataset.source = data;
  spec.width = 100'000'000;
  const PlanCost cost = *ReducedReluCost(spec, PolyakMomentumSpec{});
  EXPECT_LT(cost.bytes, 3e9);
  EXPECT_GT(DenseCost(spec, PolyakMomentumSpec{})->bytes, 40e9);
  EXPECT_LT(cost.operations_per_iteration,
            0.1 * DenseCost(spec, PolyakMomentumSpec{})->operations_per_iteration);
}

}  // namespace
}  // namespace polyak::engine
