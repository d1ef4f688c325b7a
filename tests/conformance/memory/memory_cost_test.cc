// EstimateCost promises the bytes of an instance and one running DENSE job before anything is
// allocated, and admission refuses jobs by it: so it must not be less than what a job takes at its
// worst moment, set-up included, and not so much more that jobs are refused for nothing.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "gtest/gtest.h"
#include "server/engine/problems/registry.h"
#include "server/engine/theory/theory.h"
#include "tests/conformance/memory/allocations.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it

DatasetSpec Synthetic(int64_t examples, int64_t inputs, int64_t outputs, SyntheticKind kind) {
  SyntheticDataSpec data;
  data.kind = kind;
  data.examples = examples;
  data.input_dimension = inputs;
  data.output_dimension = outputs;
  DatasetSpec spec;
  spec.source = data;
  return spec;
}

ProblemSpec Spectrum(int64_t dimension) {
  QuadraticSpec spec;
  spec.hessian = GeneratedSpectrumSpec{dimension, 100, 1, SpectrumShape::kLogUniform};
  return spec;
}

ProblemSpec FullMatrix(int64_t dimension) {
  QuadraticSpec spec;
  auto matrix = std::make_shared<Matrix>(Matrix::Identity(dimension, dimension));
  for (int64_t i = 0; i < dimension; ++i) {
    (*matrix)(i, i) = 1 + static_cast<double>(i);
  }
  spec.hessian = std::move(matrix);
  spec.linear_term = std::make_shared<Vector>(Vector::Ones(dimension));
  return spec;
}

ProblemSpec LeastSquares(int64_t examples, int64_t dimension) {
  QuadraticSpec spec;
  spec.hessian =
      LeastSquaresSpec{Synthetic(examples, dimension, 1, SyntheticKind::kLinearTeacher), 0.1};
  return spec;
}

ProblemSpec Relu(int64_t examples, int64_t dimension, int64_t width) {
  ReluNetworkSpec spec;
  spec.dataset = Synthetic(examples, dimension, 1, SyntheticKind::kUnitSphere);
  spec.width = width;
  return spec;
}

ProblemSpec DeepLinear(int64_t examples, int64_t inputs, int64_t outputs, int64_t width, int depth,
                       DeepLinearInitialization initialization) {
  DeepLinearNetworkSpec spec;
  spec.dataset = Synthetic(examples, inputs, outputs, SyntheticKind::kLinearTeacher);
  spec.width = width;
  spec.depth = depth;
  spec.initialization = initialization;
  return spec;
}

// The same with the features made from factors, for a condition number.
ProblemSpec Conditioned(ProblemSpec spec) {
  if (auto* quadratic = std::get_if<QuadraticSpec>(&spec)) {
    auto& dataset = std::get<LeastSquaresSpec>(quadratic->hessian).dataset;
    std::get<SyntheticDataSpec>(dataset.source).condition_number = 10;
  } else {
    auto& dataset = std::get<DeepLinearNetworkSpec>(spec).dataset;
    std::get<SyntheticDataSpec>(dataset.source).condition_number = 10;
  }
  return spec;
}

struct Case {
  std::string name;
  ProblemSpec spec;
};

struct Use {
  double peak = 0;  // at the worst moment of set-up and run
  double kept = 0;  // while it runs
};

// A vector for the iterate and one for the gradient belong to the method and are not counted.
Use Measure(const ProblemSpec& spec) {
  const size_t before = AllocatedBytes();
  ResetPeak();
  Use use;
  {
    const auto instance = Instantiate(spec, Seed{1});
    // Parameters come before the run, and their Gram matrices and spectra pass.
    for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
      const auto theory = Resolve(*instance, PolyakMomentumSpec{}, tuning);
    }
    const std::unique_ptr<Problem> problem = MakeProblem(*instance);
    const size_t problem_bytes = AllocatedBytes() - before;
    const size_t setup_peak = PeakBytes() - before;
    Vector gradient(problem->dimension());
    const size_t vector_bytes = AllocatedBytes() - before - problem_bytes;
    problem->Evaluate(problem->initial_point(), &gradient);
    problem->Evaluate(problem->initial_point(), &gradient);
    use.kept = static_cast<double>(AllocatedBytes() - before - vector_bytes);
    use.peak = static_cast<double>(std::max(setup_peak, PeakBytes() - before - vector_bytes));
  }
  EXPECT_EQ(AllocatedBytes(), before);  // or the counting would be wrong
  return use;
}

class MemoryCost : public ::testing::TestWithParam<Case> {};

TEST_P(MemoryCost, IsNotLessThanWhatIsAllocatedAndNotFarAboveIt) {
  const Use use = Measure(GetParam().spec);
  const double estimate = EstimateCost(GetParam().spec).bytes;
  EXPECT_LE(use.peak, estimate);
  // Three copies of what is largest are counted where one or two are alive at once.
  EXPECT_GE(3 * use.peak, estimate);
  RecordProperty("peak_over_estimate", std::to_string(use.peak / estimate));
}

INSTANTIATE_TEST_SUITE_P(
    Problems, MemoryCost,
    ::testing::Values(
        Case{"Spectrum", Spectrum(200000)}, Case{"FullMatrix", FullMatrix(400)},
        Case{"LargeMatrix", FullMatrix(1600)}, Case{"TallLeastSquares", LeastSquares(5000, 60)},
        Case{"SquareLeastSquares", LeastSquares(400, 400)},
        Case{"TallConditionedLeastSquares", Conditioned(LeastSquares(5000, 60))},
        Case{"WideConditionedLeastSquares", Conditioned(LeastSquares(60, 500))},
        Case{"WideRelu", Relu(50, 40, 20000)}, Case{"ManyExamplesRelu", Relu(600, 20, 100)},
        Case{"HighDimensionalRelu", Relu(20, 2000, 300)},
        Case{"TwoLayers", DeepLinear(50, 30, 10, 500, 2, DeepLinearInitialization::kOrthogonal)},
        Case{"SixLayers", DeepLinear(50, 30, 10, 300, 6, DeepLinearInitialization::kOrthogonal)},
        Case{"ThreeLayers", DeepLinear(50, 30, 10, 400, 3, DeepLinearInitialization::kOrthogonal)},
        Case{"Gaussian", DeepLinear(50, 30, 10, 300, 4, DeepLinearInitialization::kGaussian)},
        Case{"ManyExamples",
             DeepLinear(5000, 30, 10, 64, 3, DeepLinearInitialization::kOrthogonal)},
        Case{"ManyOutputs",
             DeepLinear(250, 500, 500, 500, 2, DeepLinearInitialization::kOrthogonal)},
        Case{"ManyOutputsOfFewInputs",
             DeepLinear(250, 50, 500, 600, 3, DeepLinearInitialization::kOrthogonal)},
        Case{"SquareData", DeepLinear(600, 600, 1, 600, 2, DeepLinearInitialization::kOrthogonal)},
        Case{"TallData", DeepLinear(3000, 300, 2, 300, 2, DeepLinearInitialization::kOrthogonal)},
        Case{"TallConditionedData",
             Conditioned(DeepLinear(5000, 30, 10, 64, 3, DeepLinearInitialization::kOrthogonal))},
        Case{"WideConditionedData",
             Conditioned(DeepLinear(30, 800, 2, 800, 2, DeepLinearInitialization::kGaussian))},
        Case{"WideData", DeepLinear(200, 1000, 3, 1000, 2, DeepLinearInitialization::kOrthogonal)}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace polyak::conformance
