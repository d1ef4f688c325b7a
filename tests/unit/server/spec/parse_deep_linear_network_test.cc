#include "server/spec/parse_problem.h"
#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

// d_x = 3, d_y = 2.
const char kData[] =
    "dataset { synthetic { examples: 5 input_dimension: 3 output_dimension: 2 } } ";

std::string DeepLinear(const std::string& fields) {
  return absl::StrCat("deep_linear_network { ", kData, fields, " }");
}

std::string Weights(int rows, int cols) {
  std::string text = absl::StrCat("initial_weights { rows: ", rows, " cols: ", cols);
  for (int k = 0; k < rows * cols; ++k) {
    absl::StrAppend(&text, " values: ", k);
  }
  return text + " } ";
}

TEST(ParseDeepLinearNetwork, RefusesSizesOutOfRange) {
  ExpectRefused({
      {DeepLinear("width: 4"), "spec.deep_linear_network.depth", "is 0", "2 to 1000"},
      {DeepLinear("width: 4 depth: 1"), "spec.deep_linear_network.depth", "is 1", "2 to 1000"},
      {DeepLinear("width: 4 depth: -2"), "spec.deep_linear_network.depth", "is -2", "2 to 1000"},
      {DeepLinear("width: 4 depth: 1001"), "spec.deep_linear_network.depth", "is 1001",
       "2 to 1000"},
      {DeepLinear("depth: 2"), "spec.deep_linear_network.width", "is 0", "1 to 1000000000"},
      {DeepLinear("depth: 2 width: -1"), "spec.deep_linear_network.width", "is -1",
       "1 to 1000000000"},
      {DeepLinear("depth: 2 width: 1000000001"), "spec.deep_linear_network.width", "is 1000000001",
       "1 to 1000000000"},
      {DeepLinear("depth: 2 width: 4 initialization: 5"), "spec.deep_linear_network.initialization",
       "is 5", "INITIALIZATION_GAUSSIAN"},
  });
  ExpectAccepted({DeepLinear("width: 3 depth: 2"), DeepLinear("width: 3 depth: 1000"),
                  DeepLinear("width: 1000000000 depth: 2"),
                  DeepLinear("width: 1000000000 depth: 1000")});
}

TEST(ParseDeepLinearNetwork, AnOrthogonalStartNeedsTheWidthOfBothEnds) {
  const std::string wide_output =
      "deep_linear_network { depth: 2 width: 4 dataset { synthetic { examples: 2 input_dimension: "
      "3 output_dimension: 5 } } }";
  ExpectRefused({
      {DeepLinear("width: 2 depth: 2"), "spec.deep_linear_network.width", "is 2", "at least 3"},
      {wide_output, "spec.deep_linear_network.width", "is 4", "at least 5"},
  });
  ExpectAccepted({
      DeepLinear("width: 3 depth: 2"),
      DeepLinear("width: 1 depth: 2 initialization: INITIALIZATION_GAUSSIAN"),
      DeepLinear("width: 1 depth: 2 " + Weights(1, 3) + Weights(2, 1)),
  });
}

TEST(ParseDeepLinearNetwork, RefusesInitialWeightsOfAnotherShape) {
  const std::string path = "spec.deep_linear_network.initial_weights";
  ExpectRefused({
      {DeepLinear("width: 4 depth: 2 " + Weights(4, 3)), path, "has 1 matrices",
       "2, the depth, or none"},
      {DeepLinear("width: 4 depth: 2 " + Weights(3, 4) + Weights(2, 4)), path + "[0]", "is 3 x 4",
       "4 x 3 for W_1"},
      {DeepLinear("width: 4 depth: 3 " + Weights(4, 3) + Weights(4, 3) + Weights(2, 4)),
       path + "[1]", "is 4 x 3", "4 x 4 for W_2"},
      {DeepLinear("width: 4 depth: 2 " + Weights(4, 3) + Weights(4, 4)), path + "[1]", "is 4 x 4",
       "2 x 4 for W_2"},
      {DeepLinear("width: 1 depth: 2 initial_weights { rows: 1 cols: 3 values: [1, 2] } " +
                  Weights(2, 1)),
       path + "[0].values", "has 2 numbers", "rows x cols = 3"},
      {DeepLinear("width: 1 depth: 2 " + Weights(1, 3) +
                  "initial_weights { rows: 2 cols: 1 values: [1, inf] }"),
       path + "[1].values[1]", "is inf", "a finite number"},
  });
  ExpectAccepted(
      {DeepLinear("width: 4 depth: 3 " + Weights(4, 3) + Weights(4, 4) + Weights(2, 4))});
}

TEST(ParseDeepLinearNetwork, AllowsSeveralTargetColumns) {
  ExpectAccepted({"deep_linear_network { width: 64 depth: 4 dataset { name: 'datasets/wine' } }"});
}

TEST(ParseDeepLinearNetwork, UnsetInitializationIsOrthogonal) {
  const auto initialization = [](const std::string& fields) {
    return std::get<engine::DeepLinearNetworkSpec>(ParsedSpec(DeepLinear(fields)).problem)
        .initialization;
  };
  EXPECT_EQ(initialization("width: 4 depth: 2"), engine::DeepLinearInitialization::kOrthogonal);
  EXPECT_EQ(initialization("width: 4 depth: 2 initialization: INITIALIZATION_GAUSSIAN"),
            engine::DeepLinearInitialization::kGaussian);
}

}  // namespace
}  // namespace polyak::spec
