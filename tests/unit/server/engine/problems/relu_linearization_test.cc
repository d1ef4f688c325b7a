#include <cmath>
#include <memory>

#include "gtest/gtest.h"
#include "server/engine/problems/relu_network.h"

namespace polyak::engine {
namespace {

std::shared_ptr<const ReluNetworkInstance> Make(int64_t width) {
  SyntheticDataSpec data;
  data.kind = SyntheticKind::kUnitSphere;
  data.examples = 5;
  data.input_dimension = 4;
  ReluNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = width;
  auto instance = MakeReluNetworkInstance(spec, Seed{8});
  EXPECT_TRUE(instance.ok()) << instance.status();
  return *instance;
}

// H0_ij = x_i.x_j (1/m) #{r: both on}, by loops over everything at once.
Matrix GramByDefinition(const ReluNetworkInstance& instance) {
  Matrix weights(instance.width, instance.input_dimension());
  FillInitialHiddenWeights(instance, 0, weights);
  Matrix gram = Matrix::Zero(instance.examples(), instance.examples());
  for (Eigen::Index i = 0; i < gram.rows(); ++i) {
    for (Eigen::Index j = 0; j < gram.cols(); ++j) {
      const auto x = instance.features.row(i);
      const auto y = instance.features.row(j);
      int both = 0;
      for (Eigen::Index r = 0; r < instance.width; ++r) {
        both += x.dot(weights.row(r)) > 0 && y.dot(weights.row(r)) > 0;
      }
      gram(i, j) = x.dot(y) * both / static_cast<double>(instance.width);
    }
  }
  return gram;
}

// 1, a part of a block, one whole block, several and a part: 1,024 rows a block.
constexpr int64_t kWidths[] = {1, 100, 1024, 2500};

TEST(ReluLinearization, CountsPairsOfActiveNeurons) {
  for (const int64_t width : kWidths) {
    const auto instance = Make(width);
    const Matrix gram = LinearizeReluNetwork(*instance).gram;
    // Counts are whole numbers; x_i.x_j is a sum of 4 products up to 1.
    EXPECT_LE((gram - GramByDefinition(*instance)).cwiseAbs().maxCoeff(), 1e-15) << width;
  }
}

TEST(ReluLinearization, StartsFromTheResidualOfTheLiteralProblem) {
  for (const int64_t width : kWidths) {
    const auto instance = Make(width);
    const Vector residual = LinearizeReluNetwork(*instance).initial_residual;
    const auto problem = MakeReluNetworkProblem(instance);
    const Observation start = problem->Evaluate(problem->initial_point(), nullptr);
    // Sums of up to 2,500 terms of the size of 1 / sqrt(m), in another order: 50 eps each way.
    EXPECT_NEAR(residual.norm(), start.residual_norm, 1e-13 * start.residual_norm) << width;
  }
}

TEST(ReluLinearization, IsTheGramMatrixOfTheGradients) {
  // H0 = J J', and the gradient at the start is J' xi: |grad|^2 = xi' H0 xi.
  const auto instance = Make(300);
  const ReluLinearization start = LinearizeReluNetwork(*instance);
  const auto problem = MakeReluNetworkProblem(instance);
  Vector gradient(problem->dimension());
  problem->Evaluate(problem->initial_point(), &gradient);
  const double expected = start.initial_residual.dot(start.gram * start.initial_residual);
  EXPECT_NEAR(gradient.squaredNorm(), expected, 1e-13 * expected);  // sums of 1,200 squares
}

}  // namespace
}  // namespace polyak::engine
