#include "server/spec/parse_dataset.h"

#include "server/engine/data/built_in.h"
#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

using ::testing::ElementsAre;

const char kPath[] = "spec.relu_network.dataset";

// Of a ReLU network: exactly one target column, unit norm unless said otherwise.
std::string Relu(const std::string& dataset) {
  return absl::StrCat("relu_network { width: 4 dataset { ", dataset, " } }");
}
std::string DeepLinear(const std::string& dataset) {
  return absl::StrCat("deep_linear_network { width: 200 depth: 2 dataset { ", dataset, " } }");
}
// Two examples of two features, one target.
std::string Inline(const std::string& features) {
  return absl::StrCat("inline { features { rows: 2 cols: 2 values: [", features,
                      "] } targets { rows: 2 cols: 1 values: [1, -1] } }");
}

TEST(ParseDataset, RefusesASourceThatIsNone) {
  ExpectRefused({
      {Relu(""), absl::StrCat(kPath, ".source"), "not set", "inline, synthetic or name"},
      {Relu("name: ''"), absl::StrCat(kPath, ".name"), "is ''", "datasets/diabetes"},
      {Relu("name: 'datasets/mnist'"), absl::StrCat(kPath, ".name"), "is 'datasets/mnist'",
       "datasets/digits"},
      {Relu("name: 'digits'"), absl::StrCat(kPath, ".name"), "is 'digits'", "datasets/wine"},
  });
}

TEST(ParseDataset, ALongUnknownNameIsCutInTheRefusal) {
  const Violations violations =
      ViolationsOf(SpecOf(Relu(absl::StrCat("name: '", std::string(100'000, 'x'), "'"))));
  ASSERT_EQ(violations.count(), 1);
  EXPECT_LT(violations.kept()[0].description.size(), 500u);
}

TEST(ParseDataset, RefusesInlineDataThatDoNotFit) {
  const std::string features = absl::StrCat(kPath, ".inline.features");
  const std::string targets = absl::StrCat(kPath, ".inline.targets");
  ExpectRefused({
      {Relu("inline { features { rows: 2 cols: 1 values: [1, 2] } targets { rows: 1 cols: 1 "
            "values: 1 } }"),
       targets + ".rows", "is 1", "2, the number of rows of the features"},
      {Relu("inline { features { rows: 2 cols: 2 values: [1, 2, 3] } targets { rows: 2 cols: 1 "
            "values: [1, 1] } }"),
       features + ".values", "has 3 numbers", "rows x cols = 4"},
      {Relu(Inline("1, nan, 1, 1")), features + ".values[1]", "is nan", "a finite number"},
      {Relu("inline { features { rows: 1 cols: 1 values: 1 } targets { rows: 1 cols: 1 values: inf "
            "} }"),
       targets + ".values[0]", "is inf", "a finite number"},
      {Relu("inline { features { rows: 100001 cols: 1 } targets { rows: 1 cols: 1 values: 1 } }"),
       features + ".rows", "is 100001", "1 to 100000"},
      {Relu("inline { features { rows: 1 cols: 1 values: 1 } targets { rows: 1 cols: 10001 } }"),
       targets + ".cols", "is 10001", "1 to 10000"},
      {Relu("inline { features { rows: 1 cols: 1 values: 1 } targets { rows: 1 cols: 2 values: [1, "
            "1] } }"),
       kPath, "has 2 target columns", "exactly 1"},
  });
  EXPECT_THAT(
      FieldsOf(ViolationsOf(SpecOf(Relu("inline {}")))),
      ElementsAre(features + ".rows", features + ".cols", targets + ".rows", targets + ".cols"));
}

TEST(ParseDataset, RefusesSyntheticDataOutOfRange) {
  const std::string path = absl::StrCat(kPath, ".synthetic");
  const std::string deep = "spec.deep_linear_network.dataset.synthetic";
  ExpectRefused({
      {Relu("synthetic { input_dimension: 2 }"), path + ".examples", "is 0", "1 to 100000"},
      {Relu("synthetic { examples: -1 input_dimension: 2 }"), path + ".examples", "is -1",
       "1 to 100000"},
      {Relu("synthetic { examples: 100001 input_dimension: 2 }"), path + ".examples", "is 100001",
       "1 to 100000"},
      {Relu("synthetic { examples: 2 }"), path + ".input_dimension", "is 0", "1 to 100000"},
      {Relu("synthetic { examples: 2 input_dimension: 100001 }"), path + ".input_dimension",
       "is 100001", "1 to 100000"},
      {Relu("synthetic { examples: 2 input_dimension: 2 output_dimension: -1 }"),
       path + ".output_dimension", "is -1", "1 to 10000"},
      {Relu("synthetic { examples: 2 input_dimension: 2 output_dimension: 10001 }"),
       path + ".output_dimension", "is 10001", "1 to 10000"},
      {Relu("synthetic { examples: 2 input_dimension: 2 output_dimension: 2 }"), kPath,
       "has 2 target columns", "exactly 1"},
      {Relu("synthetic { examples: 2 input_dimension: 2 condition_number: 2 }"),
       path + ".condition_number", "is set", "quadratic and deep linear network only"},
      {Relu("synthetic { examples: 2 input_dimension: 2 correlation: 1 }"), path + ".correlation",
       "is 1", "0 <= correlation < 1"},
      {Relu("synthetic { examples: 2 input_dimension: 2 correlation: -0.1 }"),
       path + ".correlation", "is -0.1", "0 <= correlation < 1"},
      {Relu("synthetic { examples: 2 input_dimension: 2 correlation: nan }"), path + ".correlation",
       "is nan", "0 <= correlation < 1"},
      {DeepLinear("synthetic { examples: 2 input_dimension: 2 correlation: 0.5 }"),
       deep + ".correlation", "is set", "ReLU network only"},
      {DeepLinear("synthetic { examples: 2 input_dimension: 2 condition_number: 0.9 }"),
       deep + ".condition_number", "is 0.9", "at least 1"},
      {DeepLinear("synthetic { examples: 2 input_dimension: 2 condition_number: inf }"),
       deep + ".condition_number", "is inf", "a finite number"},
      {DeepLinear("synthetic { examples: 1 input_dimension: 2 condition_number: 2 }"),
       deep + ".condition_number", "is 2", "1 for a data matrix with one singular value"},
  });
}

TEST(ParseDataset, RefusesACutBeyondTheExamples) {
  const std::string field = absl::StrCat(kPath, ".first_examples");
  ExpectRefused({
      {Relu("name: 'datasets/digits' first_examples: 1798"), field, "is 1798", "0 (all) to 1797"},
      {Relu("name: 'datasets/digits' first_examples: -1"), field, "is -1", "0 (all) to 1797"},
      {Relu(Inline("1, 0, 0, 1") + " first_examples: 3"), field, "is 3", "0 (all) to 2"},
      {Relu("synthetic { examples: 5 input_dimension: 2 } first_examples: 6"), field, "is 6",
       "0 (all) to 5"},
  });
}

TEST(ParseDataset, RefusesAnUnknownScaling) {
  ExpectRefused({{Relu("name: 'datasets/digits' feature_scaling: 7"),
                  absl::StrCat(kPath, ".feature_scaling"), "is 7", "FEATURE_SCALING_UNIT_NORM"}});
}

TEST(ParseDataset, UnitNormRefusesEveryZeroRowThatTheCutLeaves) {
  ExpectRefused({
      {Relu(Inline("1, 2, 0, 0")), kPath, "has a zero row 1", "another feature_scaling"},
      {DeepLinear(Inline("0, 0, 1, 1") + " feature_scaling: FEATURE_SCALING_UNIT_NORM"),
       "spec.deep_linear_network.dataset", "has a zero row 0", "no zero row"},
  });
  EXPECT_EQ(ViolationsOf(SpecOf(Relu(Inline("0, 0, 0, 0")))).count(), 2);
  ExpectAccepted({
      Relu(Inline("1, 2, 0, 0") + " first_examples: 1"),
      Relu(Inline("1, 2, 0, 0") + " feature_scaling: FEATURE_SCALING_NONE"),
      DeepLinear(Inline("0, 0, 1, 1")),
  });
}

TEST(ParseDataset, NoBuiltInSetHasAZeroRow) {
  for (const engine::BuiltInDataset& set : engine::BuiltInDatasets()) {
    ExpectAccepted({DeepLinear(absl::StrCat("name: '", std::string(set.name),
                                            "' feature_scaling: FEATURE_SCALING_UNIT_NORM"))});
  }
}

TEST(ParseDataset, AcceptsTheEdges) {
  const std::string wide_output =
      "deep_linear_network { width: 10000 depth: 2 dataset { synthetic { examples: 1 "
      "input_dimension: 1 output_dimension: 10000 } } }";
  ExpectAccepted({
      Relu("name: 'datasets/digits' first_examples: 1797"),
      Relu("name: 'datasets/digits' first_examples: 1"),
      Relu("synthetic { examples: 1 input_dimension: 1 correlation: 0 }"),
      Relu("synthetic { examples: 100000 input_dimension: 100000 correlation: 0.999 }"),
      DeepLinear("synthetic { examples: 1 input_dimension: 2 condition_number: 1 }"),
      wide_output,
  });
}

TEST(ParseDataset, UnsetScalingIsTheProblemsOwn) {
  const auto scaling = [](const std::string& text) {
    const engine::ProblemSpec problem = ParsedSpec(text).problem;
    return std::holds_alternative<engine::ReluNetworkSpec>(problem)
               ? std::get<engine::ReluNetworkSpec>(problem).dataset.scaling
               : std::get<engine::DeepLinearNetworkSpec>(problem).dataset.scaling;
  };
  EXPECT_EQ(scaling(Relu(Inline("1, 2, 3, 4"))), engine::FeatureScaling::kUnitNorm);
  EXPECT_EQ(scaling(DeepLinear(Inline("1, 2, 3, 4"))), engine::FeatureScaling::kNone);
  EXPECT_EQ(scaling(Relu(Inline("1, 2, 3, 4") + " feature_scaling: FEATURE_SCALING_STANDARDIZED")),
            engine::FeatureScaling::kStandardized);
}

TEST(ParseDataset, UnsetOutputDimensionIsOneAndAnUnsetSeedTheJobs) {
  const auto synthetic = [](const std::string& text) {
    return std::get<engine::SyntheticDataSpec>(
        std::get<engine::ReluNetworkSpec>(ParsedSpec(text).problem).dataset.source);
  };
  const auto plain = synthetic(Relu("synthetic { examples: 3 input_dimension: 2 }"));
  EXPECT_EQ(plain.output_dimension, 1);
  EXPECT_FALSE(plain.seed.has_value());
  const auto seeded = synthetic(Relu("synthetic { examples: 3 input_dimension: 2 seed: 0 }"));
  ASSERT_TRUE(seeded.seed.has_value());
  EXPECT_EQ(seeded.seed->value, 0);
}

}  // namespace
}  // namespace polyak::spec
