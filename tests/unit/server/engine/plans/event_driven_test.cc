#include "server/engine/plans/event_driven.h"

#include <cmath>
#include <memory>

#include "gtest/gtest.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/plans/relu_networks.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;

constexpr LinearMethod kPolyak = {0.3, 0.8, 0, 1};
constexpr LinearMethod kNesterov = {0.3, 0.8, 1, 0.8};

// The literal network beside it.
class Literal {
 public:
  Literal(const std::shared_ptr<const ReluNetworkInstance>& instance, const LinearMethod& method)
      : instance_(instance),
        problem_(MakeReluNetworkProblem(instance)),
        optimizer_(method.gradient_weight == 0
                       ? MakeOptimizer(PolyakMomentumSpec{method.step_size, method.momentum},
                                       problem_->initial_point())
                       : MakeOptimizer(NesterovMomentumSpec{method.step_size, method.momentum},
                                       problem_->initial_point())),
        gradient_(problem_->dimension()) {}
  Observation Observe() { return problem_->Evaluate(optimizer_->iterate(), &gradient_); }
  void Step() { optimizer_->Update(gradient_); }
  double flipped_share() const { return problem_->flipped_share(); }
  Matrix Preactivations() const {
    const Eigen::Map<const Matrix> weights(optimizer_->iterate().data(), instance_->width,
                                           instance_->input_dimension());
    return weights * instance_->features.transpose();
  }

 private:
  const std::shared_ptr<const ReluNetworkInstance> instance_;
  const std::unique_ptr<Problem> problem_;
  const std::unique_ptr<Optimizer> optimizer_;
  Vector gradient_;
};

TEST(EventDrivenNetwork, KnowsMasksGramMatrixAndMotionOfEveryNeuron) {
  for (const LinearMethod& method : {kPolyak, kNesterov}) {
    const auto instance = DrawnNetwork(300, 9, 4, 3);
    EventDrivenNetwork network(instance, method);
    Literal literal(instance, method);
    const Matrix start = InitialPreactivations(*instance);
    const Matrix inner = instance->features * instance->features.transpose();
    const double carry = method.gradient_weight == 0 ? 0 : method.momentum;
    for (int t = 0; t < 120; ++t) {
      const Observation expected = literal.Observe();
      ASSERT_NEAR(network.Observe().loss, expected.loss, 1e-12 * (1 + expected.loss));
      const Matrix z = literal.Preactivations();
      const Matrix active = (z.array() > 0).cast<double>();
      EXPECT_LE((network.Gram() - inner.cwiseProduct(active.transpose() * active) / 300)
                    .cwiseAbs()
                    .maxCoeff(),
                1e-14);
      for (Eigen::Index r = 0; r < z.rows(); r += 17) {
        const NeuronMotion motion = network.MotionOf(r);
        for (Eigen::Index i = 0; i < z.cols(); ++i) {
          ASSERT_EQ(network.mask().Get(r, i), z(r, i) > 0) << t << " " << r << " " << i;
          const double here =
              start(r, i) - method.step_size * inner.col(i).dot(motion.sum + carry * motion.memory);
          ASSERT_NEAR(here, z(r, i), 1e-12) << t << " " << r << " " << i;
        }
      }
      EXPECT_EQ(network.flipped_share(), literal.flipped_share());
      literal.Step();
      network.Step();
    }
    EXPECT_GT(network.counts().flips, 50);
    // Far fewer than all activations in all iterations.
    EXPECT_LT(network.counts().looks, 300 * 9 * 120 / 4);
  }
}

TEST(EventDrivenNetwork, LooksFurtherWhenTheNetworkMovesFurtherThanWasForeseen) {
  // A method that the undisturbed network is stable under and, once neurons come alive, the real
  // one is not: it moves further than any horizon.
  const LinearMethod method = {1.5, 0.9, 0, 1};
  const auto instance = DrawnNetwork(2'000, 6, 3, 40);
  EventDrivenNetwork network(instance, method);
  const int64_t queued = network.queued();
  Literal literal(instance, method);
  double largest = 0;
  for (int t = 0; t < 60; ++t) {
    const Observation expected = literal.Observe();
    largest = std::max(largest, expected.loss);
    ASSERT_NEAR(network.Observe().loss, expected.loss, 1e-9 * largest) << t;
    ASSERT_EQ(network.flipped_share(), literal.flipped_share()) << t;
    literal.Step();
    network.Step();
  }
  EXPECT_GE(network.queued(), queued);
  EXPECT_GT(network.counts().flips, 100);
  network.Observe();
  EventDrivenNetwork loaded(instance, method);
  ASSERT_TRUE(LoadState(loaded, StateOf(network)).ok());
  EXPECT_EQ(StateOf(loaded), StateOf(network));
  for (int t = 0; t < 20; ++t) {
    network.Step();
    loaded.Step();
    ASSERT_EQ(loaded.Observe().loss, network.Observe().loss);
  }
}

TEST(EventDrivenNetwork, NeverLooksAtExamplesThatAreZero) {
  auto instance = std::make_shared<ReluNetworkInstance>(*DrawnNetwork(50, 3, 3));
  instance->features.row(1).setZero();
  EventDrivenNetwork network(instance, kPolyak);
  Literal literal(instance, kPolyak);
  for (int t = 0; t < 50; ++t) {
    ASSERT_NEAR(network.Observe().loss, literal.Observe().loss, 1e-13);
    network.Step();
    literal.Step();
  }
  EXPECT_LE(network.queued(), 100);
  EXPECT_GT(network.queued(), 0);
}

TEST(QueuedEntriesMax, AreAllOfSmallNetworksAndFewOfVeryWideOnes) {
  EXPECT_EQ(QueuedEntriesMax(1000, 50), 50'000);
  EXPECT_EQ(QueuedEntriesMax(1e6, 100), 2e7);
  EXPECT_EQ(QueuedEntriesMax(1e8, 20), 2.4e7);
  EXPECT_EQ(QueuedEntriesMax(1e10, 20), 2.4e8);
}

}  // namespace
}  // namespace polyak::engine
