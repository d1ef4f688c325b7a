#include "server/storage/explicit_numbers.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <string>

#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

v1::TrainingJobSpec Spec(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

// That `full` becomes `rest`, and that a second time there is nothing left to take out.
void ExpectLeaves(const std::string& full, const std::string& rest) {
  v1::TrainingJobSpec spec = Spec(full);
  EXPECT_TRUE(ClearExplicitNumbers(spec)) << full;
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(spec, Spec(rest)))
      << spec.DebugString();
  EXPECT_FALSE(ClearExplicitNumbers(spec));
}

TEST(ClearExplicitNumbers, TakesThemOutOfEveryPlaceAndLeavesTheRest) {
  ExpectLeaves("quadratic { matrix { rows: 1 cols: 1 values: 2 } linear_term: 3 }",
               "quadratic { matrix { rows: 1 cols: 1 } }");
  ExpectLeaves("quadratic { spectrum { explicit { eigenvalues: 2 } } initial_point: 3 }",
               "quadratic { spectrum { explicit { } } }");
  ExpectLeaves(
      "quadratic { least_squares { ridge: 1 dataset { first_examples: 2 inline {"
      " features { rows: 1 cols: 1 values: 1 } targets { rows: 1 cols: 1 values: 1 } } } } }",
      "quadratic { least_squares { ridge: 1 dataset { first_examples: 2 inline {"
      " features { rows: 1 cols: 1 } targets { rows: 1 cols: 1 } } } } }");
  ExpectLeaves(
      "relu_network { width: 4 output_weights: 1 initial_hidden_weights { values: 1 }"
      " dataset { inline { features { values: 1 } } } }",
      "relu_network { width: 4 dataset { inline { features { } } } }");
  ExpectLeaves(
      "seed: 5 deep_linear_network { depth: 2 initial_weights { values: 1 }"
      " dataset { inline { targets { values: 1 } } } }",
      "seed: 5 deep_linear_network { depth: 2 dataset { inline { targets { } } } }");
}

TEST(ClearExplicitNumbers, LeavesASpecWithoutThemAsItIs) {
  for (const std::string text :
       {"", "quadratic { spectrum { generated { } } }", "quadratic { least_squares { } }",
        "relu_network { dataset { name: 'datasets/wine' } }", "relu_network { }",
        "deep_linear_network { dataset { inline { } } }"}) {
    v1::TrainingJobSpec spec = Spec(text);
    EXPECT_FALSE(ClearExplicitNumbers(spec)) << text;
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(spec, Spec(text))) << text;
  }
}

}  // namespace
}  // namespace polyak::storage
