#include "server/engine/problems/deep_linear_network.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

using ::testing::HasSubstr;

DeepLinearNetworkSpec Spec(const Matrix& features, const Matrix& targets,
                           const std::vector<Matrix>& weights) {
  auto data = std::make_shared<Dataset>();
  data->features = features;
  data->targets = targets;
  DeepLinearNetworkSpec spec;
  spec.dataset.source = std::shared_ptr<const Dataset>(data);
  spec.width = weights.front().rows();
  spec.depth = static_cast<int>(weights.size());
  spec.initial_weights = std::make_shared<std::vector<Matrix>>(weights);
  return spec;
}

std::shared_ptr<const DeepLinearNetworkInstance> Make(const DeepLinearNetworkSpec& spec,
                                                      Seed seed = {}) {
  auto instance = MakeDeepLinearNetworkInstance(spec, seed);
  EXPECT_TRUE(instance.ok()) << instance.status();
  return *instance;
}

// One input and output, m = 4, L = 2: N(x) = W_2 W_1 x / 2.
DeepLinearNetworkSpec ByHand() {
  return Spec(Matrix{{1}, {2}, {2}}, Matrix{{1}, {0}, {5}},
              {Matrix{{1}, {2}, {0}, {-1}}, Matrix{{1, 1, 3, 1}}});
}

TEST(DeepLinearNetwork, EvaluatesByTheDefinition) {
  const auto instance = Make(ByHand());
  const auto problem = MakeDeepLinearNetworkProblem(instance);
  EXPECT_EQ(problem->dimension(), 8);
  EXPECT_EQ(problem->initial_point(), (Vector{{1, 2, 0, -1, 1, 1, 3, 1}}));
  Vector gradient(8);
  const Observation observation = problem->Evaluate(problem->initial_point(), &gradient);
  // N(X) = (1, 2, 2), Y = (1, 0, 5), V = (1, 2, 2) / 3: xi = (N(X) - Y) V = 3 - 11/3 = -2/3.
  // Each number is good to a few eps of 3.
  EXPECT_NEAR(observation.residual_norm, 2.0 / 3, 1e-14);
  EXPECT_NEAR(observation.loss, 2.0 / 9, 1e-14);
  // dL/dW_1 = W_2' xi (X V)' / 2 = W_2' (-2/3) 3 / 2 = -W_2'; dL/dW_2 likewise -W_1'.
  const Vector expected{{-1, -1, -3, -1, -1, -2, 0, 1}};
  EXPECT_LE((gradient - expected).cwiseAbs().maxCoeff(), 1e-14);
  EXPECT_TRUE(std::isnan(problem->flipped_share()));
}

TEST(DeepLinearNetwork, ReportsWhatIsOutOfReachAsTheLossFloor) {
  // |Y|^2 = 26, of which (11/3)^2 is in the row space.
  EXPECT_NEAR(Make(ByHand())->loss_floor, (26 - 121.0 / 9) / 2, 1e-14);
}

TEST(DeepLinearNetwork, DecomposesTheDataMatrix) {
  const auto instance = Make(ByHand());
  ASSERT_EQ(instance->singular_values.size(), 1);
  EXPECT_NEAR(instance->singular_values(0), 3, 1e-15);
  EXPECT_EQ(instance->left.rows(), 1);
  EXPECT_EQ(instance->right.rows(), 3);
  const Matrix product =
      instance->left * instance->singular_values.asDiagonal() * instance->right.transpose();
  EXPECT_LE((product - instance->features.transpose()).cwiseAbs().maxCoeff(), 1e-15);
}

TEST(DeepLinearNetwork, CountsTheRankToOnePartInATrillion) {
  for (const auto& [second, rank] : {std::pair(1e-11, 2), std::pair(1e-13, 1), std::pair(0.0, 1)}) {
    const auto instance = Make(Spec(Matrix{{1, 0}, {0, second}}, Matrix{{1}, {1}},
                                    {Matrix::Ones(2, 2), Matrix::Ones(1, 2)}));
    EXPECT_EQ(instance->singular_values.size(), rank) << second;
  }
}

TEST(DeepLinearNetwork, GivesTheInitialResidualOfTheLiteralProblem) {
  SyntheticDataSpec data;
  data.examples = 7;
  data.input_dimension = 3;
  data.output_dimension = 2;
  DeepLinearNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = 9;
  for (const int depth : {2, 3, 5}) {
    spec.depth = depth;
    const auto instance = Make(spec, Seed{depth});
    const Matrix residual = InitialDeepLinearResidual(*instance);
    EXPECT_EQ(residual.rows(), 2);
    EXPECT_EQ(residual.cols(), 3);
    const auto problem = MakeDeepLinearNetworkProblem(instance);
    const Observation start = problem->Evaluate(problem->initial_point(), nullptr);
    // A chain of up to 5 products of 9 terms, in one order and the other.
    EXPECT_NEAR(residual.norm(), start.residual_norm, 1e-13 * start.residual_norm) << depth;
  }
}

TEST(DeepLinearNetwork, NeedsNoGradient) {
  const auto problem = MakeDeepLinearNetworkProblem(Make(ByHand()));
  Vector gradient(8);
  const Observation with = problem->Evaluate(problem->initial_point(), &gradient);
  const Observation without = problem->Evaluate(problem->initial_point(), nullptr);
  EXPECT_EQ(with.loss, without.loss);
  EXPECT_EQ(with.residual_norm, without.residual_norm);
}

TEST(DeepLinearNetwork, RecordsWhatIsNoNumberAsItself) {
  const auto problem = MakeDeepLinearNetworkProblem(Make(ByHand()));
  Vector w = problem->initial_point();
  w(2) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(problem->Evaluate(w, nullptr).loss));
  w(2) = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(std::isinf(problem->Evaluate(w, nullptr).loss));
}

TEST(DeepLinearNetwork, TakesGivenWeightsForOrthogonalWhenTheyAre) {
  // Columns of W_1 and rows of W_2 of length sqrt(m) = 2, at right angles.
  const Matrix first{{1, 1}, {1, -1}, {1, 1}, {1, -1}};
  const Matrix last{{0, 2, 0, 0}};
  const Matrix features = Matrix::Identity(2, 2);
  const Matrix targets{{1}, {1}};
  EXPECT_TRUE(Make(Spec(features, targets, {first, last}))->orthogonal_start);
  // To 1e-10 of m = 4.
  Matrix near = last;
  near(0, 1) += 0.9e-10;
  EXPECT_TRUE(Make(Spec(features, targets, {first, near}))->orthogonal_start);
  near(0, 1) += 0.2e-10;
  EXPECT_FALSE(Make(Spec(features, targets, {first, near}))->orthogonal_start);
  EXPECT_FALSE(Make(Spec(features, targets, {2 * first, last}))->orthogonal_start);
  Matrix skew = first;
  skew(0, 0) = -1;
  EXPECT_FALSE(Make(Spec(features, targets, {skew, last}))->orthogonal_start);
}

TEST(DeepLinearNetwork, RefusesDataThatIsZero) {
  const auto instance = MakeDeepLinearNetworkInstance(
      Spec(Matrix::Zero(3, 1), Matrix::Ones(3, 1), {Matrix::Ones(2, 1), Matrix::Ones(1, 2)}),
      Seed{});
  EXPECT_EQ(instance.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(instance.status().message()), HasSubstr("every feature is zero"));
}

}  // namespace
}  // namespace polyak::engine
