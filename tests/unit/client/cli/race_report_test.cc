#include "client/cli/race_report.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

using ::testing::ElementsAre;

v1::TrainingJob Job(const std::string& text) {
  v1::TrainingJob job;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &job)) << text;
  return job;
}

// The figures of docs/theory.md, section 7, on diabetes.
RacePair Diabetes() {
  return {
      "quadratic", "diabetes, 442 x 10", Job(R"pb(
        spec { stopping { relative_loss: 1e-8 } }
        resolution { prediction { condition_number: 470.078 rate: 0.997873 } }
        termination { reason: REASON_CONVERGED }
        summary {
          iterations: 3170
          measured_rate: 0.997873
          windowed_rate { rate: 0.997873 standard_error: 5.9e-05 }
          certificate { verdict: VERDICT_PASS bound_held: true iterations_checked: 3170 }
        })pb"),
      Job(R"pb(
        spec { stopping { relative_loss: 1e-8 } }
        resolution { prediction { condition_number: 470.078 rate: 0.976939 } }
        termination { reason: REASON_CONVERGED }
        summary {
          iterations: 368
          measured_rate: 0.977038
          windowed_rate { rate: 0.977038 standard_error: 0.001416 }
          certificate { verdict: VERDICT_NOT_APPLICABLE bound_held: true iterations_checked: 368 }
        })pb")};
}

TEST(RaceTable, HasARowAMethodWithEveryNumberAndItsError) {
  const TextTable table = RaceTable({Diabetes()});
  EXPECT_THAT(table.titles,
              ElementsAre("class", "data", "kappa", "method", "predicted", "measured rate",
                          "iterations to 1e-8", "acceleration", "bound"));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_THAT(table.rows[0],
              ElementsAre("quadratic", "diabetes, 442 x 10", "470.078", "GD", "0.997873",
                          "0.997873 +- 0.000059", "3170", "", "held at all 3170"));
  // 3170 / 368 = 8.614; log 0.976939 / log 0.997873 = 10.957.
  EXPECT_THAT(table.rows[1],
              ElementsAre("", "", "470.078", "Polyak", "0.976939", "0.977038 +- 0.001416", "368",
                          "8.61 (predicted 10.96)", "held at all 368 (not certified)"));
}

TEST(RaceTable, SaysWhatWasNotReachedOrNotMeasured) {
  RacePair pair = Diabetes();
  pair.gradient_descent.mutable_termination()->set_reason(v1::Termination::REASON_MAX_ITERATIONS);
  pair.gradient_descent.mutable_summary()->clear_measured_rate();
  pair.gradient_descent.mutable_summary()->mutable_windowed_rate()->set_method("window too short");
  pair.momentum.mutable_summary()->mutable_certificate()->set_bound_held(false);
  pair.momentum.mutable_summary()->mutable_certificate()->set_first_violation(17);
  pair.momentum.mutable_summary()->mutable_certificate()->set_verdict(
      v1::Certificate::VERDICT_VIOLATED);
  const TextTable table = RaceTable({pair});
  EXPECT_EQ(table.rows[0][5], "- (window too short)");
  EXPECT_EQ(table.rows[0][6], ">3170");
  EXPECT_EQ(table.rows[1][7], ">8.61 (predicted 10.96)");
  EXPECT_EQ(table.rows[1][8], "BROKE at 17");
}

TEST(RaceTable, NamesNoAccelerationWhereThereIsNone) {
  RacePair pair = Diabetes();
  pair.momentum.mutable_termination()->set_reason(v1::Termination::REASON_DIVERGED);
  pair.momentum.mutable_resolution()->mutable_prediction()->set_rate(1.5);
  pair.momentum.mutable_summary()->clear_certificate();
  const TextTable table = RaceTable({pair});
  EXPECT_EQ(table.rows[1][7], "- (predicted -)");
  EXPECT_EQ(table.rows[1][8], "no theorem");
}

TEST(RaceColumns, HasOneNumberACell) {
  const TextTable table = RaceColumns({Diabetes()});
  ASSERT_EQ(table.rows.size(), 2u);
  for (const auto& row : table.rows) {
    ASSERT_EQ(row.size(), table.titles.size());
    EXPECT_EQ(row[0], "quadratic");
    EXPECT_EQ(row[1], "diabetes, 442 x 10");
  }
  EXPECT_THAT(table.rows[0], ElementsAre("quadratic", "diabetes, 442 x 10", "470.078",
                                         "gradient_descent", "0.997873", "0.997873", "5.9e-05",
                                         "3170", "CONVERGED", "1", "1", "true", "3170", "PASS"));
  EXPECT_EQ(table.rows[1][13], "NOT_APPLICABLE");
}

TEST(RaceColumns, LeavesACellEmptyWhereThereIsNoNumber) {
  RacePair pair = Diabetes();
  pair.momentum.mutable_termination()->set_reason(v1::Termination::REASON_MAX_ITERATIONS);
  pair.momentum.mutable_summary()->clear_measured_rate();
  const auto row = RaceColumns({pair}).rows[1];
  EXPECT_EQ(row[5], "");
  EXPECT_EQ(row[6], "");
  EXPECT_EQ(row[9], "");
}

std::string DataOf(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return DescribeData(spec);
}

TEST(DescribeData, NamesEverySource) {
  EXPECT_EQ(
      DataOf("quadratic { spectrum { generated { dimension: 10 shape: SHAPE_TWO_CLUSTERS } } }"),
      "two-clusters, d = 10");
  EXPECT_EQ(DataOf("quadratic { spectrum { explicit { eigenvalues: [1, 2, 3] } } }"),
            "spectrum, d = 3");
  EXPECT_EQ(DataOf("quadratic { matrix { rows: 2 cols: 2 } }"), "matrix, d = 2");
  EXPECT_EQ(DataOf("quadratic { least_squares { dataset { name: \"datasets/wine\" } } }"), "wine");
  EXPECT_EQ(DataOf("relu_network { dataset { name: \"datasets/digits\" first_examples: 50 } "
                   "width: 64 }"),
            "digits, first 50, m = 64");
  EXPECT_EQ(
      DataOf("deep_linear_network { dataset { synthetic { examples: 30 input_dimension: 5 } } "
             "width: 64 depth: 4 }"),
      "synthetic, 30 x 5, L = 4, m = 64");
  EXPECT_EQ(DataOf("relu_network { dataset { inline { features { rows: 3 cols: 2 } } } width: 8 }"),
            "inline, 3 x 2, m = 8");
  EXPECT_EQ(DataOf(""), "");
}

}  // namespace
}  // namespace polyak::cli
