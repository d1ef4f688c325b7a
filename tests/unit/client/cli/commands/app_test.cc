#include "client/cli/commands/app.h"

#include <string>
#include <vector>

#include "client/cli/exit_code.h"
#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

int RunWith(std::vector<std::string> words) {
  words.insert(words.begin(), "polyak");
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  return Run(static_cast<int>(words.size()), arguments.data());
}

TEST(App, HelpAndVersionSucceed) {
  EXPECT_EQ(RunWith({"--help"}), kSucceeded);
  EXPECT_EQ(RunWith({"--version"}), kSucceeded);
  EXPECT_EQ(RunWith({"submit", "quadratic", "--help"}), kSucceeded);
}

TEST(App, MisuseIsOneExitCode) {
  EXPECT_EQ(RunWith({}), kUsage);
  EXPECT_EQ(RunWith({"nosuch"}), kUsage);
  EXPECT_EQ(RunWith({"submit"}), kUsage);
  EXPECT_EQ(RunWith({"get"}), kUsage);
  EXPECT_EQ(RunWith({"info", "--nosuch"}), kUsage);
  EXPECT_EQ(RunWith({"info", "-o", "xml"}), kUsage);
}

TEST(App, GlobalFlagsStandBeforeOrBehindTheCommand) {
  const std::string nobody = "--server=unix:/no/such/socket";
  EXPECT_EQ(RunWith({nobody, "--give-up-after=0", "-q", "info"}), kUnreachable);
  EXPECT_EQ(RunWith({"info", nobody, "--give-up-after=0", "-q"}), kUnreachable);
  EXPECT_EQ(RunWith({"preview", "quadratic", nobody, "--give-up-after=0", "-q"}), kUnreachable);
}

}  // namespace
}  // namespace polyak::cli
