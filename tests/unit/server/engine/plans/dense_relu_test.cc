#include "server/engine/plans/dense_relu.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/plans/network_recursions.h"

namespace polyak::engine {
namespace {

struct Shape {
  int64_t width;
  int64_t examples;
  int64_t inputs;
};

double TermsOf(const Shape& shape) {
  return static_cast<double>(shape.width + shape.inputs + shape.examples);
}

ProblemInstance NetworkOf(const Shape& shape) {
  SyntheticDataSpec data;
  data.kind = SyntheticKind::kUnitSphere;
  data.examples = shape.examples;
  data.input_dimension = shape.inputs;
  ReluNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = shape.width;
  return Instantiate(spec, Seed{5}).value();
}

std::vector<OptimizerSpec> Methods() {
  return {GradientDescentSpec{0.1}, PolyakMomentumSpec{0.1, 0.6}, NesterovMomentumSpec{0.1, 0.6}};
}

// Widths below, at and above whole tiles and blocks; inputs that fill no panel.
constexpr Shape kShapes[] = {{1, 3, 2}, {8, 5, 3}, {64, 11, 32}, {75, 7, 33}, {200, 21, 70}};

// Either side of a kink is right for a pre-activation that rounding alone decides about: none of
// these runs has one.
TEST(DenseRelu, IsTheLiteralRecursionForEveryShapeAndMethod) {
  for (const Shape& shape : kShapes) {
    for (const OptimizerSpec& method : Methods()) {
      SCOPED_TRACE(testing::Message() << "width " << shape.width << " " << method.index());
      ExpectTheLiteralRecursion({NetworkOf(shape), method}, 60, TermsOf(shape));
    }
  }
}

// Wide enough to be divided among threads.
TEST(DenseRelu, IsTheLiteralRecursionInParts) {
  const Shape shape = {4003, 30, 50};
  ExpectTheLiteralRecursion({NetworkOf(shape), Methods()[1]}, 5, TermsOf(shape));
}

TEST(DenseRelu, GoesOnToTheBitFromASavedState) {
  for (const Shape& shape : kShapes) {
    for (const OptimizerSpec& method : Methods()) {
      ExpectToGoOnToTheBit({NetworkOf(shape), method}, {0, 1, 7});
    }
  }
  ExpectToGoOnToTheBit({NetworkOf({4003, 30, 50}), Methods()[2]}, {2});
}

TEST(DenseRelu, CountsTheSameFlippedActivationsAsTheProblem) {
  const ProblemInstance network = NetworkOf({75, 7, 33});
  const OptimizerSpec method = Methods()[1];
  const auto stepper = MakeDenseStepper({network, method}).value();
  const auto problem = MakeProblem(network);
  const auto optimizer = MakeOptimizer(method, problem->initial_point());
  Vector gradient(problem->dimension());
  double largest = 0;
  for (int t = 0; t < 60; ++t) {
    problem->Evaluate(optimizer->iterate(), &gradient);
    stepper->Observe();
    ASSERT_EQ(stepper->flipped_share(), problem->flipped_share()) << t;
    largest = std::fmax(largest, stepper->flipped_share());
    optimizer->Update(gradient);
    stepper->Step();
  }
  EXPECT_GT(largest, 0);
}

}  // namespace
}  // namespace polyak::engine
