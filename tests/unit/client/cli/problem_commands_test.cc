#include "client/cli/problem_commands.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

class ProblemCommands : public ::testing::Test {
 protected:
  // Parses, runs the action, and returns its exit code.
  ExitCode Run(std::vector<std::string> arguments, const ProblemCommandOptions& options = {}) {
    CLI::App program;
    Context context;
    std::function<ExitCode()> action;
    AddProblemCommands(
        program, context, options,
        [this](v1::TrainingJobSpec spec) {
          specs_.push_back(std::move(spec));
          return kSucceeded;
        },
        action);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    program.parse(arguments);
    return action();
  }

  std::vector<v1::TrainingJobSpec> specs_;
};

TEST_F(ProblemCommands, EachClassMakesItsOwnSpec) {
  EXPECT_EQ(Run({"quadratic", "--kappa", "5"}), kSucceeded);
  EXPECT_EQ(Run({"relu", "--width", "7"}), kSucceeded);
  EXPECT_EQ(Run({"deep-linear", "--depth", "3"}), kSucceeded);
  ASSERT_EQ(specs_.size(), 3u);
  EXPECT_EQ(specs_[0].quadratic().spectrum().generated().condition_number(), 5);
  EXPECT_EQ(specs_[1].relu_network().width(), 7);
  EXPECT_EQ(specs_[2].deep_linear_network().depth(), 3);
}

TEST_F(ProblemCommands, AFileTakesThePlaceOfAProblem) {
  const std::string path = ::testing::TempDir() + "/problem_commands_test.txtpb";
  std::ofstream(path) << "seed: 3";
  EXPECT_EQ(Run({"-f", path}), kSucceeded);
  ASSERT_EQ(specs_.size(), 1u);
  EXPECT_EQ(specs_[0].seed(), 3);
}

TEST_F(ProblemCommands, AFileThatCannotBeReadIsAUsageError) {
  EXPECT_EQ(Run({"-f", "/no/such/file"}), kUsage);
  EXPECT_EQ(specs_.size(), 0u);
}

TEST_F(ProblemCommands, AContradictionOfFlagsIsAUsageError) {
  EXPECT_EQ(Run({"quadratic", "--optimizer", "gd", "--momentum", "0.5"}), kUsage);
  EXPECT_EQ(specs_.size(), 0u);
}

TEST_F(ProblemCommands, OneProblemIsRequiredAndOnlyOne) {
  EXPECT_THROW(Run({}), CLI::RequiredError);
  EXPECT_THROW(Run({"quadratic", "-f", "spec.txtpb"}), CLI::ValidationError);
  EXPECT_THROW(Run({"quadratic", "relu"}), CLI::ParseError);
  EXPECT_THROW(Run({}, {.optimizer_flags = true, .spec_file = false}), CLI::RequiredError);
}

TEST_F(ProblemCommands, ARaceOffersNoOptimizer) {
  EXPECT_THROW(Run({"quadratic", "--optimizer", "gd"}, {.optimizer_flags = false}),
               CLI::ExtrasError);
}

}  // namespace
}  // namespace polyak::cli
