#include "server/engine/plans/dense_deep_linear.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/plans/network_recursions.h"

namespace polyak::engine {
namespace {

struct Shape {
  int64_t width;
  int depth;
  int64_t examples;
  int64_t inputs;
  int64_t outputs;
  DeepLinearInitialization initialization = DeepLinearInitialization::kGaussian;
};

double TermsOf(const Shape& shape) {
  return static_cast<double>((shape.depth - 1) * shape.width + shape.inputs + shape.examples);
}

ProblemInstance NetworkOf(const Shape& shape) {
  SyntheticDataSpec data;
  data.examples = shape.examples;
  data.input_dimension = shape.inputs;
  data.output_dimension = shape.outputs;
  DeepLinearNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = shape.width;
  spec.depth = shape.depth;
  spec.initialization = shape.initialization;
  return Instantiate(spec, Seed{7}).value();
}

// Step sizes that contract: a third of what theory takes for the orthogonal start.
std::vector<OptimizerSpec> Methods(const Shape& shape) {
  const double step = static_cast<double>(shape.outputs) /
                      (12.0 * shape.depth * static_cast<double>(shape.examples + shape.inputs));
  return {GradientDescentSpec{step}, PolyakMomentumSpec{step, 0.5},
          NesterovMomentumSpec{step, 0.5}};
}

// One tile; fewer and more outputs than the data's rank, so that either goes backward; widths that
// fill no tile and no panel; two layers, which leave no square one.
const Shape kShapes[] = {
    {8, 3, 9, 4, 1},
    {13, 2, 7, 5, 3},
    {37, 4, 12, 5, 2},
    {37, 3, 4, 9, 6},
    {70, 3, 30, 11, 2, DeepLinearInitialization::kOrthogonal},
};

TEST(DenseDeepLinear, IsTheLiteralRecursionForEveryShapeAndMethod) {
  for (const Shape& shape : kShapes) {
    for (const OptimizerSpec& method : Methods(shape)) {
      SCOPED_TRACE(testing::Message() << "width " << shape.width << " depth " << shape.depth
                                      << " outputs " << shape.outputs << " " << method.index());
      ExpectTheLiteralRecursion({NetworkOf(shape), method}, 40, TermsOf(shape));
    }
  }
}

// Wide enough to be divided among threads.
TEST(DenseDeepLinear, IsTheLiteralRecursionInParts) {
  const Shape shape = {900, 3, 25, 20, 10};
  ExpectTheLiteralRecursion({NetworkOf(shape), Methods(shape)[1]}, 3, TermsOf(shape));
}

TEST(DenseDeepLinear, GoesOnToTheBitFromASavedState) {
  for (const Shape& shape : kShapes) {
    for (const OptimizerSpec& method : Methods(shape)) {
      ExpectToGoOnToTheBit({NetworkOf(shape), method}, {0, 1, 7});
    }
  }
  const Shape wide = {900, 3, 25, 20, 10};
  ExpectToGoOnToTheBit({NetworkOf(wide), Methods(wide)[2]}, {2});
}

TEST(DenseDeepLinear, RefusesTheStateOfAnotherMethod) {
  const Shape shape = kShapes[0];
  const ProblemInstance network = NetworkOf(shape);
  const auto whole = MakeDenseStepper({network, Methods(shape)[1]}).value();
  whole->Observe();
  const std::string state = testing_support::StateOf(*whole);
  for (const OptimizerSpec& method :
       {Methods(shape)[0], Methods(shape)[2],
        OptimizerSpec(
            PolyakMomentumSpec{std::get<PolyakMomentumSpec>(Methods(shape)[1]).step_size, 0.25})}) {
    const auto other = MakeDenseStepper({network, method}).value();
    EXPECT_TRUE(absl::IsDataLoss(testing_support::LoadState(*other, state)));
  }
}

}  // namespace
}  // namespace polyak::engine
