// Help is part of the program: every flag is described, every example runs.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace polyak {
namespace {

using ::polyak::testing_support::BinaryPath;
using ::polyak::testing_support::Outcome;
using ::polyak::testing_support::RunProgram;
using ::polyak::testing_support::Server;
using ::polyak::testing_support::TemporaryFolder;
using ::testing::StartsWith;

using Command = std::vector<std::string>;

Outcome RunPolyak(const Command& command) { return RunProgram(BinaryPath("polyak"), command); }

std::string Help(Command command) {
  command.emplace_back("--help");
  const Outcome outcome = RunPolyak(command);
  EXPECT_EQ(outcome.exit_code, 0) << absl::StrJoin(command, " ");
  EXPECT_EQ(outcome.errors, "") << absl::StrJoin(command, " ");
  return outcome.output;
}

std::vector<std::string> Lines(const std::string& text) { return absl::StrSplit(text, '\n'); }

// The names under "Subcommands:".
std::vector<std::string> Subcommands(const std::string& help) {
  std::vector<std::string> names;
  bool inside = false;
  for (const std::string& line : Lines(help)) {
    if (line == "Subcommands:") {
      inside = true;
    } else if (inside && line.empty()) {
      break;
    } else if (inside && line[2] != ' ') {
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
  }
  return names;
}

struct CommandHelp {
  Command command;
  std::string help;
};

// The program, its commands and theirs; asked once.
const std::vector<CommandHelp>& AllCommands() {
  static const auto& commands = *new std::vector<CommandHelp>([] {
    std::vector<CommandHelp> found = {{{}, Help({})}};
    for (size_t k = 0; k < found.size(); ++k) {
      for (const std::string& name : Subcommands(found[k].help)) {
        Command below = found[k].command;
        below.push_back(name);
        found.push_back({below, Help(below)});
      }
    }
    return found;
  }());
  return commands;
}

TEST(CliHelp, KnowsEveryCommand) {
  std::set<std::string> names;
  for (const auto& [command, help] : AllCommands()) {
    names.insert(absl::StrJoin(command, " "));
  }
  for (const char* name :
       {"submit", "watch", "wait", "get", "list", "cancel", "delete", "preview", "race", "plot",
        "info", "demo", "submit quadratic", "preview relu", "race deep-linear"}) {
    EXPECT_EQ(names.count(name), 1u) << name;
  }
}

TEST(CliHelp, DescribesEveryFlagAndArgumentOfEveryCommand) {
  for (const auto& [command, help] : AllCommands()) {
    const std::vector<std::string> lines = Lines(help);
    bool inside = false;
    for (size_t k = 0; k < lines.size(); ++k) {
      const std::string& line = lines[k];
      if (line == "Options:" || line == "Positionals:" || line == "Subcommands:") {
        inside = true;
      } else if (line.empty()) {
        inside = false;
      } else if (inside && line[2] != ' ') {
        // The description begins at column 30, on this line or, after a long name, the next.
        const bool described =
            (line.size() > 30 && line[29] == ' ' && line[30] != ' ') ||
            (k + 1 < lines.size() && lines[k + 1].rfind(std::string(30, ' '), 0) == 0);
        EXPECT_TRUE(described) << absl::StrJoin(command, " ") << ": " << line;
      }
    }
  }
}

TEST(CliHelp, VersionGoesToStandardOutputAtEveryCommand) {
  for (const auto& [name, help] : AllCommands()) {
    Command command = name;
    command.emplace_back("--version");
    const Outcome outcome = RunPolyak(command);
    EXPECT_EQ(outcome.exit_code, 0) << absl::StrJoin(command, " ") << outcome.errors;
    EXPECT_THAT(outcome.output, StartsWith("polyak ")) << absl::StrJoin(command, " ");
    EXPECT_EQ(outcome.errors, "");
  }
}

// The command lines that begin with `prefix` and "polyak", without the prefix.
std::vector<std::string> Examples(const std::string& text, const std::string& prefix) {
  std::vector<std::string> examples;
  for (const std::string& line : Lines(text)) {
    if (line.rfind(prefix + "polyak ", 0) == 0) {
      examples.push_back(line.substr(prefix.size()));
    }
  }
  return examples;
}

// A folder with what the examples assume: a spec file, and a job called my-job.
class CliExamples : public ::testing::Test {
 protected:
  CliExamples() : server_({"--workers=2", "--data-dir=" + data_.path()}) {
    std::string pattern = (std::filesystem::temp_directory_path() / "polyak-help-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    std::ofstream(folder_ / "spec.txtpb")
        << "quadratic { spectrum { explicit { eigenvalues: [1, 10] } } }\n"
           "optimizer { polyak_momentum {} } stopping { max_iterations: 100 }\n";
  }
  ~CliExamples() override { std::filesystem::remove_all(folder_); }

  // Runs a line as a person would type it.
  Outcome Type(const std::string& line) {
    const std::string programs =
        std::filesystem::absolute(std::filesystem::path(BinaryPath("polyak")).parent_path());
    return RunProgram("/bin/bash",
                      {"-c", absl::StrCat("cd '", folder_.string(), "' && PATH='", programs,
                                          "':$PATH && ", line)},
                      {"POLYAK_SERVER=" + server_.address()});
  }

  TemporaryFolder data_;
  Server server_;
  std::filesystem::path folder_;
};

TEST_F(CliExamples, OfEveryHelpTextRun) {
  ASSERT_EQ(Type("polyak submit -f spec.txtpb --id my-job --wait").exit_code, 0);
  std::set<std::string> examples;
  for (const auto& [command, help] : AllCommands()) {
    for (const std::string& example : Examples(help, "  ")) {
      examples.insert(example);
    }
  }
  EXPECT_GE(examples.size(), 10u);
  for (const std::string& example : examples) {
    if (example.find("--id my-job") != std::string::npos) {
      ASSERT_EQ(Type("polyak delete my-job").exit_code, 0);  // its name is about to be taken
    }
    const Outcome outcome = Type(example);
    EXPECT_EQ(outcome.exit_code, 0) << example << "\n" << outcome.errors;
    if (example.find("--id my-job") != std::string::npos) {
      ASSERT_EQ(Type("polyak wait my-job").exit_code, 0);
    }
  }
}

TEST_F(CliExamples, OfTheReadmesTourRun) {
  const char* source = std::getenv("POLYAK_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run the test by ctest";
  std::ostringstream readme;
  readme << std::ifstream(std::string(source) + "/README.md").rdbuf();
  // The tour is made in a clone.
  std::filesystem::create_directory_symlink(
      std::filesystem::absolute(std::filesystem::path(source) / "data"), folder_ / "data");
  const std::vector<std::string> examples = Examples(readme.str(), "    $ ");
  EXPECT_GE(examples.size(), 3u);
  for (const std::string& example : examples) {
    const Outcome outcome = Type(example);
    EXPECT_EQ(outcome.exit_code, 0) << example << "\n" << outcome.errors;
  }
}

}  // namespace
}  // namespace polyak
