#include "server/engine/plans/gram_coordinates.h"

#include "gtest/gtest.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/plans/relu_networks.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;

TEST(GramCoordinates, GoOnWhereAnEventDrivenRunStands) {
  for (const LinearMethod& method :
       {LinearMethod{0.3, 0.8, 0, 1}, LinearMethod{0.3, 0.8, 1, 0.8}, LinearMethod{0.5, 0, 0, 1}}) {
    const auto instance = DrawnNetwork(200, 8, 4, 3);
    EventDrivenNetwork events(instance, method);
    for (int t = 0; t < 15; ++t) {
      events.Observe();
      events.Step();
    }
    GramCoordinates gram(instance, method, events);
    for (int t = 15; t < 80; ++t) {
      const Observation expected = events.Observe();
      ASSERT_NEAR(gram.Observe().loss, expected.loss, 1e-13 * (1 + expected.loss)) << t;
      ASSERT_EQ(gram.flipped_share(), events.flipped_share()) << t;
      EXPECT_LE((gram.Gram() - events.Gram()).cwiseAbs().maxCoeff(), 1e-14);
      const NeuronMotion motion = gram.MotionOf(7);
      const NeuronMotion same = events.MotionOf(7);
      EXPECT_LE((motion.sum - same.sum).cwiseAbs().maxCoeff(), 1e-12);
      EXPECT_LE((motion.memory - same.memory).cwiseAbs().maxCoeff(), 1e-13);
      events.Step();
      gram.Step();
    }
    EXPECT_GT(gram.flipped_share(), 0);
  }
}

TEST(GramCoordinates, GoOnToTheBitFromASavedState) {
  const LinearMethod method = {0.3, 0.8, 0, 1};
  const auto instance = DrawnNetwork(60, 5, 4, 3);
  GramCoordinates whole(instance, method);
  for (int t = 0; t < 10; ++t) {
    whole.Observe();
    whole.Step();
  }
  whole.Observe();
  GramCoordinates loaded(instance, method);
  ASSERT_TRUE(LoadState(loaded, StateOf(whole)).ok());
  for (int t = 0; t < 10; ++t) {
    whole.Step();
    loaded.Step();
    ASSERT_EQ(loaded.Observe().loss, whole.Observe().loss);
  }
}

}  // namespace
}  // namespace polyak::engine
