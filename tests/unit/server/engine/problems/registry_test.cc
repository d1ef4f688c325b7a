#include "server/engine/problems/registry.h"

#include <memory>
#include <variant>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

DatasetSpec Synthetic(int64_t examples, int64_t inputs, int64_t outputs) {
  SyntheticDataSpec data;
  data.examples = examples;
  data.input_dimension = inputs;
  data.output_dimension = outputs;
  DatasetSpec spec;
  spec.source = data;
  return spec;
}

ProblemSpec Quadratic() {
  QuadraticSpec spec;
  spec.hessian = GeneratedSpectrumSpec{6, 10, 1, SpectrumShape::kUniform};
  return spec;
}

ProblemSpec LeastSquares(int64_t examples, int64_t dimension) {
  QuadraticSpec spec;
  spec.hessian = LeastSquaresSpec{Synthetic(examples, dimension, 1), 0};
  return spec;
}

ProblemSpec Relu(int64_t width) {
  ReluNetworkSpec spec;
  spec.dataset = Synthetic(5, 4, 1);
  spec.width = width;
  return spec;
}

ProblemSpec DeepLinear(int64_t width, int depth) {
  DeepLinearNetworkSpec spec;
  spec.dataset = Synthetic(8, 3, 2);
  spec.width = width;
  spec.depth = depth;
  return spec;
}

TEST(ProblemRegistry, MakesEveryKindOfProblem) {
  const ProblemSpec specs[] = {Quadratic(), Relu(7), DeepLinear(6, 3)};
  static_assert(std::size(specs) == std::variant_size_v<ProblemSpec>);
  for (const ProblemSpec& spec : specs) {
    const auto instance = Instantiate(spec, Seed{1});
    ASSERT_TRUE(instance.ok()) << instance.status();
    EXPECT_EQ(instance->index(), spec.index());
    const auto problem = MakeProblem(*instance);
    EXPECT_EQ(problem->initial_point().size(), problem->dimension());
    EXPECT_EQ(EstimateCost(spec).parameters, static_cast<double>(problem->dimension()));
  }
}

TEST(ProblemRegistry, HandsOnARefusal) {
  QuadraticSpec indefinite;
  indefinite.hessian = std::make_shared<Vector>(Vector{{-1, 1}});
  EXPECT_EQ(Instantiate(indefinite, Seed{}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ProblemRegistry, SharesTheInstanceBetweenProblems) {
  const auto instance = Instantiate(Relu(7), Seed{1});
  ASSERT_TRUE(instance.ok());
  const auto& shared = std::get<std::shared_ptr<const ReluNetworkInstance>>(*instance);
  const auto one = MakeProblem(*instance);
  const auto two = MakeProblem(*instance);
  EXPECT_EQ(shared.use_count(), 3);
}

TEST(EstimateCost, CountsOperationsOfAnIteration) {
  QuadraticSpec matrix;
  matrix.hessian = std::make_shared<Matrix>(Matrix::Identity(50, 50));
  EXPECT_EQ(EstimateCost(matrix).operations_per_iteration, 2.0 * 50 * 50);
  EXPECT_EQ(EstimateCost(LeastSquares(1000, 50)).operations_per_iteration, 2.0 * 50 * 50);
  EXPECT_EQ(EstimateCost(Quadratic()).operations_per_iteration, 8.0 * 6);
  EXPECT_EQ(EstimateCost(Relu(7)).operations_per_iteration, 4.0 * 7 * 5 * 4);
  // 6 r for each weight: rank 3, 6 x 3 + 6 x 6 + 2 x 6 weights.
  EXPECT_EQ(EstimateCost(DeepLinear(6, 3)).operations_per_iteration, 6.0 * 3 * 66);
}

TEST(EstimateCost, CountsTheExamplesThatAreUsed) {
  LeastSquaresSpec some;
  some.dataset = Synthetic(1000, 5, 1);
  some.dataset.first_examples = 10;
  QuadraticSpec cut;
  cut.hessian = some;
  EXPECT_LT(EstimateCost(cut).setup_operations,
            EstimateCost(LeastSquares(1000, 5)).setup_operations);
}

TEST(EstimateCost, AllocatesNothingForSizesThatNoMachineHolds) {
  EXPECT_GT(EstimateCost(Relu(int64_t{1} << 50)).bytes, 1e16);
  EXPECT_GT(EstimateCost(DeepLinear(int64_t{1} << 40, 10)).bytes, 1e24);
}

}  // namespace
}  // namespace polyak::engine
