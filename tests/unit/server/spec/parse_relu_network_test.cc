#include "server/spec/parse_problem.h"
#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

// Two examples of three features.
const char kData[] = "dataset { synthetic { examples: 2 input_dimension: 3 } } ";

std::string Relu(const std::string& fields) {
  return absl::StrCat("relu_network { ", kData, fields, " }");
}

TEST(ParseReluNetwork, RefusesAWidthOutOfRange) {
  ExpectRefused({
      {Relu(""), "spec.relu_network.width", "is 0", "1 to 1000000000"},
      {Relu("width: -5"), "spec.relu_network.width", "is -5", "1 to 1000000000"},
      {Relu("width: 1000000001"), "spec.relu_network.width", "is 1000000001", "1 to 1000000000"},
  });
  ExpectAccepted({Relu("width: 1"), Relu("width: 1000000000")});
}

TEST(ParseReluNetwork, RefusesInitialWeightsOfAnotherShape) {
  const std::string path = "spec.relu_network.initial_hidden_weights";
  ExpectRefused({
      {Relu("width: 1 initial_hidden_weights { rows: 2 cols: 3 values: [1, 2, 3, 4, 5, 6] }"), path,
       "is 2 x 3", "1 x 3, width x input dimension"},
      {Relu("width: 1 initial_hidden_weights { rows: 1 cols: 2 values: [1, 2] }"), path, "is 1 x 2",
       "1 x 3"},
      {Relu("width: 1 initial_hidden_weights { rows: 1 cols: 3 values: [1, 2] }"), path + ".values",
       "has 2 numbers", "rows x cols = 3"},
      {Relu("width: 1 initial_hidden_weights { rows: 1 cols: 3 values: [1, 2, nan] }"),
       path + ".values[2]", "is nan", "a finite number"},
      {Relu("width: 1 initial_hidden_weights { rows: 1 cols: 100001 }"), path + ".cols",
       "is 100001", "1 to 100000"},
  });
  ExpectAccepted({Relu("width: 1 initial_hidden_weights { rows: 1 cols: 3 values: [0, 0, 0] }")});
}

TEST(ParseReluNetwork, RefusesOutputWeightsThatAreNoSigns) {
  const std::string path = "spec.relu_network.output_weights";
  ExpectRefused({
      {Relu("width: 3 output_weights: [1, -1]"), path, "has 2 numbers", "3, the width, or none"},
      {Relu("width: 2 output_weights: [1, 0.5]"), path + "[1]", "is 0.5", "1 or -1"},
      {Relu("width: 2 output_weights: [0, 1]"), path + "[0]", "is 0", "1 or -1"},
      {Relu("width: 1 output_weights: nan"), path + "[0]", "is nan", "1 or -1"},
  });
  ExpectAccepted({Relu("width: 2 output_weights: [1, -1]")});
}

TEST(ParseReluNetwork, AllowsExactlyOneTargetColumn) {
  ExpectRefused({{"relu_network { width: 2 dataset { name: 'datasets/wine' } }",
                  "spec.relu_network.dataset", "has 3 target columns", "exactly 1"}});
}

TEST(ParseReluNetwork, NamesEveryBadFieldOfOneSpec) {
  EXPECT_THAT(FieldsOf(ViolationsOf(SpecOf(
                  "relu_network { width: 0 dataset { synthetic { examples: 0 input_dimension: -1 "
                  "correlation: 2 condition_number: 3 } } output_weights: [2] }"))),
              ::testing::UnorderedElementsAre(
                  "spec.relu_network.dataset.synthetic.examples",
                  "spec.relu_network.dataset.synthetic.input_dimension",
                  "spec.relu_network.dataset.synthetic.correlation",
                  "spec.relu_network.dataset.synthetic.condition_number", "spec.relu_network.width",
                  "spec.relu_network.output_weights", "spec.relu_network.output_weights[0]"));
}

TEST(ParseReluNetwork, WeightsAreReadRowByRow) {
  const ExperimentSpec spec = ParsedSpec(
      Relu("width: 2 initial_hidden_weights { rows: 2 cols: 3 values: [1, 2, 3, 4, 5, 6] }"));
  const auto& weights = *std::get<engine::ReluNetworkSpec>(spec.problem).initial_hidden_weights;
  EXPECT_EQ(weights(0, 2), 3);
  EXPECT_EQ(weights(1, 0), 4);
}

}  // namespace
}  // namespace polyak::spec
