#include "client/cli/spec_flags.h"

#include <algorithm>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

using ::testing::HasSubstr;

// Parses flags of one problem class as a command would.
class Flags {
 public:
  explicit Flags(void (SpecFlags::*add)(CLI::App&)) {
    (flags_.*add)(program_);
    flags_.AddOptimizer(program_);
    flags_.AddRun(program_);
  }
  const SpecFlags& Parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    program_.parse(arguments);
    return flags_;
  }

 private:
  CLI::App program_;
  SpecFlags flags_;
};

absl::StatusOr<v1::TrainingJobSpec> Quadratic(const std::vector<std::string>& arguments) {
  return Flags(&SpecFlags::AddQuadratic).Parse(arguments).Quadratic();
}
absl::StatusOr<v1::TrainingJobSpec> ReluNetwork(const std::vector<std::string>& arguments) {
  return Flags(&SpecFlags::AddReluNetwork).Parse(arguments).ReluNetwork();
}
absl::StatusOr<v1::TrainingJobSpec> DeepLinear(const std::vector<std::string>& arguments) {
  return Flags(&SpecFlags::AddDeepLinearNetwork).Parse(arguments).DeepLinearNetwork();
}

// Compares by text, which shows what differs.
void ExpectSpec(const absl::StatusOr<v1::TrainingJobSpec>& spec, const std::string& expected) {
  ASSERT_TRUE(spec.ok()) << spec.status();
  v1::TrainingJobSpec message;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(expected, &message)) << expected;
  EXPECT_EQ(spec->DebugString(), message.DebugString());
}

TEST(SpecFlags, WhatIsNotGivenStaysUnset) {
  ExpectSpec(Quadratic({}), R"pb(
    quadratic {
      spectrum { generated { dimension: 10 condition_number: 100 shape: SHAPE_LOG_UNIFORM } }
    }
    optimizer { polyak_momentum {} })pb");
  ExpectSpec(ReluNetwork({"--optimizer", "gd"}), R"pb(
    relu_network {
      dataset { name: "datasets/digits" }
      width: 4096
    }
    optimizer { gradient_descent {} })pb");
  ExpectSpec(DeepLinear({"--optimizer", "nesterov"}), R"pb(
    deep_linear_network {
      dataset { name: "datasets/wine" }
      width: 64
      depth: 4
    }
    optimizer { nesterov_momentum {} })pb");
}

TEST(SpecFlags, EveryFlagOfAGeneratedQuadraticReachesTheSpec) {
  ExpectSpec(
      Quadratic({"--kappa",        "1e4",    "--dimension", "7",
                 "--smoothness",   "3",      "--shape",     "two-clusters",
                 "--optimizer",    "polyak", "--step-size", "0.5",
                 "--momentum",     "0",      "--tuning",    "asymptotic",
                 "--iterations",   "0",      "--tolerance", "1e-8",
                 "--max-duration", "1.5",    "--seed",      "-9",
                 "--plan",         "dense"}),
      R"pb(
        quadratic {
          spectrum {
            generated { dimension: 7 condition_number: 1e4 smoothness: 3 shape: SHAPE_TWO_CLUSTERS }
          }
        }
        optimizer {
          polyak_momentum { step_size: 0.5 momentum: 0 }
          tuning: TUNING_ASYMPTOTIC
        }
        stopping {
          max_iterations: 0
          relative_loss: 1e-8
          max_duration { seconds: 1 nanos: 500000000 }
        }
        plan: EXECUTION_PLAN_DENSE
        seed: -9)pb");
}

TEST(SpecFlags, LeastSquaresComesWithADataset) {
  ExpectSpec(Quadratic({"--dataset", "datasets/diabetes", "--ridge", "0.1", "--scaling", "none",
                        "--first-examples", "20", "--tuning", "theorem", "--plan", "reduced"}),
             R"pb(
               quadratic {
                 least_squares {
                   dataset {
                     name: "datasets/diabetes"
                     first_examples: 20
                     feature_scaling: FEATURE_SCALING_NONE
                   }
                   ridge: 0.1
                 }
               }
               optimizer {
                 polyak_momentum {}
                 tuning: TUNING_THEOREM
               }
               plan: EXECUTION_PLAN_REDUCED)pb");
}

TEST(SpecFlags, SyntheticDataTakesThePlaceOfANamedSet) {
  ExpectSpec(ReluNetwork({"--synthetic-examples", "30", "--input-dimension", "5", "--correlation",
                          "0.3", "--scaling", "unit-norm", "--width", "9"}),
             R"pb(
               relu_network {
                 dataset {
                   synthetic { examples: 30 input_dimension: 5 correlation: 0.3 }
                   feature_scaling: FEATURE_SCALING_UNIT_NORM
                 }
                 width: 9
               }
               optimizer { polyak_momentum {} })pb");
  ExpectSpec(
      DeepLinear({"--synthetic-examples", "30", "--output-dimension", "2",
                  "--data-condition-number", "4", "--scaling", "standardized", "--width", "11",
                  "--depth", "3", "--initialization", "gaussian"}),
      R"pb(
        deep_linear_network {
          dataset {
            synthetic { examples: 30 input_dimension: 10 output_dimension: 2 condition_number: 4 }
            feature_scaling: FEATURE_SCALING_STANDARDIZED
          }
          width: 11
          depth: 3
          initialization: INITIALIZATION_GAUSSIAN
        }
        optimizer { polyak_momentum {} })pb");
}

TEST(SpecFlags, CombinationsThatNoSpecCanExpressAreRefusedByName) {
  const auto error = [](const absl::StatusOr<v1::TrainingJobSpec>& spec) {
    return std::string{spec.status().message()};
  };
  EXPECT_THAT(error(Quadratic({"--optimizer", "gd", "--momentum", "0.9"})),
              HasSubstr("gradient descent has none"));
  EXPECT_THAT(error(Quadratic({"--dataset", "datasets/wine", "--kappa", "3"})),
              HasSubstr("one kind only"));
  EXPECT_THAT(error(Quadratic({"--ridge", "1"})), HasSubstr("--dataset"));
  EXPECT_THAT(error(ReluNetwork({"--correlation", "0.5"})), HasSubstr("--synthetic-examples"));
  EXPECT_THAT(error(Quadratic({"--first-examples", "3"})), HasSubstr("without --dataset"));
  for (const char* seconds : {"0", "-1", "1e300", "nan"}) {
    EXPECT_THAT(error(Quadratic({"--max-duration", seconds})), HasSubstr("--max-duration is"))
        << seconds;
  }
}

TEST(SpecFlags, AnUnknownWordIsRefusedWhileParsing) {
  EXPECT_THROW(static_cast<void>(Quadratic({"--optimizer", "adam"})), CLI::ValidationError);
  EXPECT_THROW(static_cast<void>(Quadratic({"--shape", "round"})), CLI::ValidationError);
  EXPECT_THROW(static_cast<void>(Quadratic({"--plan", "fast"})), CLI::ValidationError);
  EXPECT_THROW(static_cast<void>(Quadratic({"--first-examples", "0"})), CLI::ValidationError);
  EXPECT_THROW(static_cast<void>(Quadratic({"--kappa", "many"})), CLI::ConversionError);
  EXPECT_THROW(
      static_cast<void>(Quadratic({"--dataset", "datasets/wine", "--synthetic-examples", "9"})),
      CLI::ExcludesError);
}

}  // namespace
}  // namespace polyak::cli
