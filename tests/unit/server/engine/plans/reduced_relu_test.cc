#include "server/engine/plans/reduced_relu.h"

#include <cmath>
#include <memory>
#include <vector>

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
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Large targets and slow: most activations are looked at again and again, so that products are
// cheaper and the run changes its form, for ever.
Experiment Restless() {
  return {ProblemInstance(DrawnNetwork(40, 12, 3, 30)), PolyakMomentumSpec{0.2, 0.95}};
}
// The same at first; then it converges, and nothing flips any more.
Experiment Settling() {
  return {ProblemInstance(DrawnNetwork(40, 12, 6, 30)), PolyakMomentumSpec{0.2, 0.9}};
}

// The forms of a run beside DENSE.
std::vector<int> FormsOf(const Experiment& experiment) {
  const auto reduced = MakeReducedReluStepper(experiment).value();
  const auto dense = MakeDenseStepper(experiment).value();
  double largest = 0;
  std::vector<int> forms = {0};
  for (int t = 0; t < 300; ++t) {
    const Observation expected = dense->Observe();
    largest = std::max(largest, expected.loss);
    EXPECT_NEAR(reduced->Observe().loss, expected.loss, 1e-11 * largest) << t;
    EXPECT_EQ(reduced->flipped_share(), dense->flipped_share()) << t;
    const std::string state = StateOf(*reduced);
    // After the head of five numbers: the form.
    if (state[40] != forms.back()) {
      forms.push_back(state[40]);
    }
    reduced->Step();
    dense->Step();
  }
  return forms;
}

TEST(ReducedReluStepper, ChangesItsFormByCountedWorkAndStaysExact) {
  EXPECT_THAT(FormsOf(Restless()), ElementsAre(0, 1));
  EXPECT_THAT(FormsOf(Settling()), ElementsAre(0, 1, 0));
}

// A zero row of X neither keeps a run from going back, nor makes it stream the neurons again.
TEST(ReducedReluStepper, GoesBackAlsoWithAnExampleThatIsZero) {
  auto instance = std::make_shared<ReluNetworkInstance>(*DrawnNetwork(40, 12, 6, 30));
  instance->features.row(3).setZero();
  EXPECT_THAT(FormsOf({ProblemInstance(std::shared_ptr<const ReluNetworkInstance>(instance)),
                       PolyakMomentumSpec{0.2, 0.9}}),
              ElementsAre(0, 1, 0));
}

TEST(ReducedReluStepper, GoesOnToTheBitOverTheChangeOfForm) {
  const Experiment experiment = Settling();
  for (const int cut : {3, 15, 16, 17, 40, 143, 144, 300}) {
    const auto whole = MakeReducedReluStepper(experiment).value();
    whole->Observe();
    for (int t = 0; t < cut; ++t) {
      whole->Step();
      whole->Observe();
    }
    const auto loaded = MakeReducedReluStepper(experiment).value();
    ASSERT_TRUE(LoadState(*loaded, StateOf(*whole)).ok());
    for (int t = 0; t < 200; ++t) {
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
