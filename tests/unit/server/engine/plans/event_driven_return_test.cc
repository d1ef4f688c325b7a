#include <algorithm>
#include <cmath>
#include <memory>

#include "gtest/gtest.h"
#include "server/engine/plans/dense.h"
#include "server/engine/plans/event_driven.h"
#include "server/engine/plans/gram_coordinates.h"
#include "server/engine/plans/relu_method.h"
#include "tests/unit/server/engine/plans/relu_networks.h"

namespace polyak::engine {
namespace {

// Event by event, by products, and event by event again: everything is that of a run that never
// left its form, to rounding, and what is counted is the same.
void ExpectTheSameAfterTheWayThroughProducts(const LinearMethod& method) {
  auto changed = std::make_shared<ReluNetworkInstance>(*DrawnNetwork(60, 9, 4, 12));
  changed->features.row(5).setZero();  // an example whose activations never move
  const std::shared_ptr<const ReluNetworkInstance> instance = changed;
  EventDrivenNetwork stayed(instance, method);
  EventDrivenNetwork returned(instance, method);
  const auto step = [](auto& network) {
    network.Observe();
    network.Step();
  };
  for (int t = 0; t < 20; ++t) {
    step(stayed);
    step(returned);
  }
  GramCoordinates products(instance, method, returned);
  int64_t flips_before = 0;
  for (int t = 0; t < 30; ++t) {
    stayed.Observe();
    flips_before = t == 0 ? stayed.counts().flips : flips_before;
    stayed.Step();
    products.Observe();
    returned.Follow(products.residual());
    products.Step();
  }
  ASSERT_TRUE(returned.ReachOdometer());
  returned.TakeOver(products);
  double largest = 0;
  for (int t = 0; t < 100; ++t) {
    const double expected = stayed.Observe().loss;
    largest = std::max(largest, expected);
    ASSERT_NEAR(returned.Observe().loss, expected, 1e-12 * largest) << t;
    if (t == 0) {
      // Each change of an activation, also one that was taken back between two looks.
      EXPECT_EQ(products.flips(), stayed.counts().flips - flips_before);
      EXPECT_GT(products.flips(), 0);
    }
    ASSERT_EQ(returned.flipped_share(), stayed.flipped_share());
    EXPECT_TRUE(returned.Gram() == stayed.Gram());
    for (const int64_t row : {0, 31, 32, 59}) {
      const NeuronMotion a = returned.MotionOf(row);
      const NeuronMotion b = stayed.MotionOf(row);
      const double size = 1 + b.sum.cwiseAbs().maxCoeff();
      EXPECT_LE((a.sum - b.sum).cwiseAbs().maxCoeff(), 1e-12 * size);
      EXPECT_LE((a.memory - b.memory).cwiseAbs().maxCoeff(), 1e-12 * size);
      EXPECT_LE((a.lag - b.lag).cwiseAbs().maxCoeff(), 1e-12 * size);
    }
    stayed.Step();
    returned.Step();
  }
  EXPECT_GT(stayed.flipped_share(), 0);
}

TEST(EventDrivenReturn, IsExactForEveryMethod) {
  ExpectTheSameAfterTheWayThroughProducts(LinearForm(PolyakMomentumSpec{0.2, 0.9}));
  ExpectTheSameAfterTheWayThroughProducts(LinearForm(NesterovMomentumSpec{0.2, 0.9}));
  ExpectTheSameAfterTheWayThroughProducts(LinearForm(GradientDescentSpec{0.5}));
}

TEST(GramCoordinates, ForeseeHowOftenAnEventDrivenRunWouldLook) {
  const auto instance = DrawnNetwork(400, 6, 4, 3);
  const LinearMethod method = LinearForm(PolyakMomentumSpec{0.02, 0.9});
  EventDrivenNetwork events(instance, method);
  for (int t = 0; t < 30; ++t) {
    events.Observe();
    events.Step();
  }
  const GramCoordinates products(instance, method, events);
  const EventCounts before = events.counts();
  const Vector odometer = events.odometer();
  constexpr int kIterations = 40;
  for (int t = 0; t < kIterations; ++t) {
    events.Observe();
    events.Step();
  }
  const double looks = static_cast<double>(events.counts().looks - before.looks) / kIterations;
  const double expected = products.ExpectedLooks((events.odometer() - odometer) / kIterations);
  // Of the right size is all that the choice needs: distances change meanwhile.
  EXPECT_GT(expected, looks / 3);
  EXPECT_LT(expected, 3 * looks);
}

}  // namespace
}  // namespace polyak::engine
