#include "server/engine/problems/relu_network.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

using ::testing::HasSubstr;

// Two neurons, two examples, by hand.  Z = W X' = [1 -2; 3 3], one kink crossed below.
ReluNetworkSpec ByHand() {
  auto data = std::make_shared<Dataset>();
  data->features = Matrix{{1, 0}, {0, 1}};
  data->targets = Matrix{{1}, {2}};
  ReluNetworkSpec spec;
  spec.dataset.source = std::shared_ptr<const Dataset>(data);
  spec.width = 2;
  spec.initial_hidden_weights = std::make_shared<Matrix>(Matrix{{1, -2}, {3, 3}});
  spec.output_weights = std::make_shared<Vector>(Vector{{1, -1}});
  return spec;
}

ReluNetworkSpec Seeded(int64_t width) {
  SyntheticDataSpec data;
  data.kind = SyntheticKind::kUnitSphere;
  data.examples = 4;
  data.input_dimension = 3;
  ReluNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = width;
  return spec;
}

std::shared_ptr<const ReluNetworkInstance> Make(const ReluNetworkSpec& spec, Seed seed = {}) {
  auto instance = MakeReluNetworkInstance(spec, seed);
  EXPECT_TRUE(instance.ok()) << instance.status();
  return *instance;
}

TEST(ReluNetwork, EvaluatesByTheDefinition) {
  const auto problem = MakeReluNetworkProblem(Make(ByHand()));
  EXPECT_EQ(problem->dimension(), 4);
  // Column by column: w_1 and w_2 have their first entries first.
  EXPECT_EQ(problem->initial_point(), (Vector{{1, 3, -2, 3}}));
  Vector gradient(4);
  const Observation observation = problem->Evaluate(problem->initial_point(), &gradient);
  // f = (1 - 3, 0 - 3) / sqrt 2, xi = f - y.
  const double root = std::sqrt(2.0);
  const double first = -2 / root - 1;
  const double second = -3 / root - 2;
  // A handful of operations on numbers up to 20.
  EXPECT_NEAR(observation.loss, (first * first + second * second) / 2, 1e-14);
  EXPECT_NEAR(observation.residual_norm, std::hypot(first, second), 1e-14);
  // dL/dw_r = a_r / sqrt 2 sum_i 1[z_ri > 0] xi_i x_i
  EXPECT_NEAR(gradient(0), first / root, 1e-14);
  EXPECT_NEAR(gradient(1), -first / root, 1e-14);
  EXPECT_EQ(gradient(2), 0);  // neuron 1 is off at example 2
  EXPECT_NEAR(gradient(3), -second / root, 1e-14);
}

TEST(ReluNetwork, HasNoSlopeAtTheKink) {
  ReluNetworkSpec spec = ByHand();
  spec.initial_hidden_weights = std::make_shared<Matrix>(Matrix::Zero(2, 2));
  const auto problem = MakeReluNetworkProblem(Make(spec));
  Vector gradient = Vector::Ones(4);
  const Observation observation = problem->Evaluate(problem->initial_point(), &gradient);
  EXPECT_EQ(gradient, Vector::Zero(4));
  EXPECT_EQ(observation.loss, 2.5);  // f = 0, y = (1, 2)
}

TEST(ReluNetwork, NeedsNoGradient) {
  const auto problem = MakeReluNetworkProblem(Make(Seeded(20)));
  Vector gradient(problem->dimension());
  const Observation with = problem->Evaluate(problem->initial_point(), &gradient);
  const Observation without = problem->Evaluate(problem->initial_point(), nullptr);
  EXPECT_EQ(with.loss, without.loss);
  EXPECT_EQ(with.residual_norm, without.residual_norm);
}

TEST(ReluNetwork, CountsTheActivationsThatDifferFromTheStart) {
  const auto problem = MakeReluNetworkProblem(Make(ByHand()));
  EXPECT_EQ(problem->flipped_share(), 0);
  Vector gradient(4);
  problem->Evaluate(problem->initial_point(), &gradient);
  EXPECT_EQ(problem->flipped_share(), 0);
  problem->Evaluate(Vector{{1, -3, 2, 3}}, &gradient);  // z_12 comes on, z_21 goes off
  EXPECT_EQ(problem->flipped_share(), 0.5);
  problem->Evaluate(problem->initial_point(), &gradient);
  EXPECT_EQ(problem->flipped_share(), 0);
}

TEST(ReluNetwork, RecordsWhatIsNoNumberAsItself) {
  const auto problem = MakeReluNetworkProblem(Make(ByHand()));
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const Vector& w : {Vector{{kNaN, kNaN, kNaN, kNaN}}, Vector{{kNaN, 3, -2, 3}}}) {
    EXPECT_TRUE(std::isnan(problem->Evaluate(w, nullptr).loss));
    EXPECT_TRUE(std::isnan(problem->Evaluate(w, nullptr).residual_norm));
  }
  EXPECT_FALSE(std::isfinite(problem->Evaluate(Vector{{kInfinity, 3, 0, 3}}, nullptr).loss));
}

TEST(ReluNetwork, DrawsTheSameRowsWhateverTheBlock) {
  const auto instance = Make(Seeded(11), Seed{3});
  Matrix whole(11, 3);
  FillInitialHiddenWeights(*instance, 0, whole);
  const RandomStream stream(Seed{3}, DrawPurpose::kHiddenWeights);
  for (int64_t first = 0; first < 11; first += 4) {
    Matrix block(std::min<int64_t>(4, 11 - first), 3);
    FillInitialHiddenWeights(*instance, first, block);
    EXPECT_EQ(block, whole.middleRows(first, block.rows()));
  }
  for (Eigen::Index r = 0; r < 11; ++r) {
    for (Eigen::Index i = 0; i < 3; ++i) {
      EXPECT_EQ(whole(r, i), stream.Normal(static_cast<uint64_t>(3 * r + i)));
    }
  }
}

TEST(ReluNetwork, TakesTheGivenWeights) {
  const auto instance = Make(ByHand(), Seed{3});
  Matrix weights(1, 2);
  FillInitialHiddenWeights(*instance, 1, weights);
  EXPECT_EQ(weights, (Matrix{{3, 3}}));
  EXPECT_EQ(OutputWeights(*instance), (Vector{{1, -1}}));
}

TEST(ReluNetwork, DrawsOutputWeightsAsSigns) {
  const auto instance = Make(Seeded(1000), Seed{3});
  const Vector weights = OutputWeights(*instance);
  EXPECT_EQ(weights.cwiseAbs(), Vector::Ones(1000));
  // Of 1,000 fair signs the sum has a standard deviation of 31.6; five of them.
  EXPECT_LE(std::abs(weights.sum()), 158);
  EXPECT_NE(weights, OutputWeights(*Make(Seeded(1000), Seed{4})));
}

TEST(ReluNetwork, RefusesWhatTheDataCannotBe) {
  ReluNetworkSpec spec = ByHand();
  auto data =
      std::make_shared<Dataset>(*std::get<std::shared_ptr<const Dataset>>(spec.dataset.source));
  data->features.row(1).setZero();
  spec.dataset.source = std::shared_ptr<const Dataset>(data);
  spec.dataset.scaling = FeatureScaling::kUnitNorm;
  const auto instance = MakeReluNetworkInstance(spec, Seed{});
  EXPECT_EQ(instance.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(instance.status().message()), HasSubstr("row 1"));
}

}  // namespace
}  // namespace polyak::engine
