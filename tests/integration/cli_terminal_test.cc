// `polyak` on a pseudo-terminal: the live chart, as a person sees it.

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/terminal.h"

namespace polyak {
namespace {

using ::polyak::testing_support::BinaryPath;
using ::polyak::testing_support::RunProgram;
using ::polyak::testing_support::Server;
using ::polyak::testing_support::TerminalProcess;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kBrailleLead[] = "\xe2\xa0";  // of U+2800 to U+283F

// One server for all tests of this program; each uses ids of its own.
class CliTerminal : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!TerminalProcess::Available()) {
      constexpr int kNotRun = 77;  // ctest says so, and counts no pass
      std::cout << "not run: this machine has no pseudo-terminals, /dev/pts is not mounted\n";
      std::exit(kNotRun);
    }
    server_ = new Server({"--workers=2"});
  }
  static void TearDownTestSuite() { delete server_; }

  static std::vector<std::string> Environment(const std::string& locale) {
    return {"POLYAK_SERVER=" + server_->address(), "LC_ALL=" + locale, "TERM=xterm", "NO_COLOR="};
  }
  static int Run(const std::string& command) {
    return RunProgram(BinaryPath("polyak"), absl::StrSplit(command, ' '), Environment("C"))
        .exit_code;
  }

  static Server* server_;
};
Server* CliTerminal::server_ = nullptr;

// What is on the screen in the end: applies the escapes that the chart uses to the printed text.
std::vector<std::string> Screen(const std::string& printed) {
  std::vector<std::string> lines(1);
  size_t row = 0;
  std::string text = printed;
  text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  for (size_t k = 0; k < text.size(); ++k) {
    if (text[k] == '\n') {
      if (++row == lines.size()) {
        lines.emplace_back();
      }
    } else if (text[k] == '\033') {
      size_t end = k + 2;
      while (end < text.size() && (text[end] == ';' || (text[end] >= '0' && text[end] <= '9'))) {
        ++end;
      }
      if (text[end] == 'A') {
        row -= std::min(row, static_cast<size_t>(std::stoi(text.substr(k + 2))));
        // The frame that follows writes every line anew.
        std::for_each(lines.begin() + static_cast<std::ptrdiff_t>(row), lines.end(),
                      [](std::string& line) { line.clear(); });
      }
      k = end;
    } else {
      lines[row] += text[k];
    }
  }
  return lines;
}

TEST_F(CliTerminal, AWatchDrawsOneBrailleChartOverItself) {
  ASSERT_EQ(Run("submit quadratic --kappa 1e4 --id braille --iterations 30000 --wait"), 0);
  TerminalProcess watch(BinaryPath("polyak"), {"watch", "braille"}, Environment("C.UTF-8"),
                        {.columns = 80, .rows = 24});
  EXPECT_EQ(watch.ReadToEnd(), 0);
  EXPECT_THAT(watch.printed(), HasSubstr("\033[23A"));  // 22 rows of chart and a line below it
  const std::vector<std::string> screen = Screen(watch.printed());
  std::string text;
  int braille_rows = 0;
  for (const std::string& line : screen) {
    text += line + "\n";
    braille_rows += line.find(kBrailleLead) != std::string::npos ? 1 : 0;
  }
  EXPECT_GE(braille_rows, 10) << text;
  EXPECT_THAT(text, AllOf(HasSubstr("residual norm"), HasSubstr("bound"), HasSubstr("1e-"),
                          HasSubstr("quadratic, Polyak's momentum"), HasSubstr("measured rate"),
                          HasSubstr("PASS")));
  // One chart: its axis is there once.
  EXPECT_EQ(std::count_if(screen.begin(), screen.end(),
                          [](const std::string& line) {
                            return line.find("\xe2\x94\x94") != std::string::npos;
                          }),
            1)
      << text;
}

TEST_F(CliTerminal, DiagnosticsAreDrawnBelowTheRecords) {
  TerminalProcess follow(
      BinaryPath("polyak"),
      {"submit", "relu", "--first-examples", "20", "--width", "300", "--iterations", "500",
       "--diagnostics-interval", "10", "--id", "diagnosed", "--follow", "--no-color"},
      Environment("C"), {.columns = 100, .rows = 40});
  EXPECT_EQ(follow.ReadToEnd(), 0);
  std::string text;
  for (const std::string& line : Screen(follow.printed())) {
    text += line + "\n";
  }
  const size_t records = text.find("* residual norm");
  const size_t diagnosed = text.find("* condition number");
  ASSERT_NE(records, std::string::npos) << text;
  ASSERT_NE(diagnosed, std::string::npos) << text;
  EXPECT_LT(records, diagnosed);
  EXPECT_THAT(text,
              AllOf(HasSubstr("o flipped share"), HasSubstr("at iteration 500: condition number "),
                    HasSubstr("distance from the start ")));
  // In a low terminal there is no room for both.
  TerminalProcess low(BinaryPath("polyak"), {"watch", "diagnosed", "--diagnostics", "--no-color"},
                      Environment("C"), {.columns = 100, .rows = 15});
  EXPECT_EQ(low.ReadToEnd(), 0);
  text.clear();
  for (const std::string& line : Screen(low.printed())) {
    text += line + "\n";
  }
  EXPECT_THAT(text, AllOf(HasSubstr("* condition number"), Not(HasSubstr("* residual norm"))));
}

TEST_F(CliTerminal, WithoutUtf8OrOnRequestTheChartIsAscii) {
  ASSERT_EQ(Run("submit quadratic --id ascii --iterations 1000 --wait"), 0);
  const std::vector<std::vector<std::string>> commands = {
      {"watch", "ascii", "--no-color"}, {"watch", "ascii", "--no-color", "--glyphs", "ascii"}};
  for (size_t k = 0; k < commands.size(); ++k) {
    TerminalProcess watch(BinaryPath("polyak"), commands[k], Environment(k == 0 ? "C" : "C.UTF-8"),
                          {.columns = 80, .rows = 24});
    EXPECT_EQ(watch.ReadToEnd(), 0);
    EXPECT_THAT(watch.printed(), AllOf(HasSubstr("* residual norm"), HasSubstr("o bound")));
    for (const char byte : watch.printed()) {
      ASSERT_LT(static_cast<unsigned char>(byte), 128);
    }
  }
}

TEST_F(CliTerminal, ColourComesWithATerminalAndGoesWithTheFlag) {
  ASSERT_EQ(Run("submit quadratic --id colour --iterations 1000 --wait"), 0);
  TerminalProcess colour(BinaryPath("polyak"), {"plot", "colour"}, Environment("C.UTF-8"), {});
  EXPECT_EQ(colour.ReadToEnd(), 0);
  EXPECT_THAT(colour.printed(), HasSubstr("\033[36m"));
  TerminalProcess plain(BinaryPath("polyak"), {"plot", "colour", "--no-color"},
                        Environment("C.UTF-8"), {});
  EXPECT_EQ(plain.ReadToEnd(), 0);
  EXPECT_THAT(plain.printed(), Not(HasSubstr("\033[")));
}

TEST_F(CliTerminal, NoLineIsWiderThanTheTerminal) {
  ASSERT_EQ(Run("submit quadratic --id narrow --iterations 1000 --wait"), 0);
  TerminalProcess watch(BinaryPath("polyak"), {"watch", "narrow", "--no-color"}, Environment("C"),
                        {.columns = 60, .rows = 20});
  EXPECT_EQ(watch.ReadToEnd(), 0);
  for (const std::string& line : Screen(watch.printed())) {
    if (line.rfind("job ", 0) == 0) {
      break;  // the facts below the chart may wrap
    }
    EXPECT_LE(line.size(), 60u) << line;
  }
}

TEST_F(CliTerminal, CtrlCLeavesTheChartAndTheJob) {
  TerminalProcess follow(BinaryPath("polyak"),
                         {"submit", "--follow", "--id", "ctrl-c", "quadratic", "--kappa", "1e9",
                          "--dimension", "20000", "--iterations", "100000000"},
                         Environment("C.UTF-8"), {});
  ASSERT_TRUE(follow.ReadUntil("RUNNING")) << follow.printed();
  follow.Type("\x03");
  EXPECT_EQ(follow.ReadToEnd(), 130);
  EXPECT_THAT(follow.printed(), HasSubstr("the job goes on"));
  EXPECT_EQ(Run("cancel ctrl-c"), 0);
}

TEST_F(CliTerminal, ARaceIsDrawnAndEndsWithItsTable) {
  TerminalProcess race(BinaryPath("polyak"), {"race", "quadratic", "--kappa", "1e3"},
                       Environment("C.UTF-8"), {.columns = 200, .rows = 30});
  EXPECT_EQ(race.ReadToEnd(), 0);
  EXPECT_THAT(race.printed(), AllOf(HasSubstr("gradient descent"), HasSubstr("Polyak's momentum"),
                                    HasSubstr(kBrailleLead), HasSubstr("held at all")));
}

}  // namespace
}  // namespace polyak
