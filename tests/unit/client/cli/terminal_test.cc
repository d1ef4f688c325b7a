#include "client/cli/terminal.h"

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

using plot::Glyphs;

TEST(ChooseGlyphs, TakesBrailleInAUtf8Locale) {
  EXPECT_EQ(ChooseGlyphs("auto", "C.UTF-8", "xterm"), Glyphs::kBraille);
  EXPECT_EQ(ChooseGlyphs("auto", "de_DE.utf8", "xterm-256color"), Glyphs::kBraille);
  EXPECT_EQ(ChooseGlyphs("auto", "en_US.UTF-8", ""), Glyphs::kBraille);
}

TEST(ChooseGlyphs, FallsBackToAsciiWhereBrailleCannotBeShown) {
  EXPECT_EQ(ChooseGlyphs("auto", "C", "xterm"), Glyphs::kAscii);
  EXPECT_EQ(ChooseGlyphs("auto", "", "xterm"), Glyphs::kAscii);
  EXPECT_EQ(ChooseGlyphs("auto", "de_DE.ISO-8859-1", "xterm"), Glyphs::kAscii);
  EXPECT_EQ(ChooseGlyphs("auto", "C.UTF-8", "linux"), Glyphs::kAscii);
  EXPECT_EQ(ChooseGlyphs("auto", "C.UTF-8", "dumb"), Glyphs::kAscii);
}

TEST(ChooseGlyphs, AWishGoesBeforeTheLocale) {
  EXPECT_EQ(ChooseGlyphs("ascii", "C.UTF-8", "xterm"), Glyphs::kAscii);
  EXPECT_EQ(ChooseGlyphs("braille", "C", "dumb"), Glyphs::kBraille);
}

using Variables = std::map<std::string, std::string>;

// Sets variables of the environment and puts back what was there.
class WithEnvironment {
 public:
  explicit WithEnvironment(const Variables& variables) {
    for (const char* name :
         {"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "LC_ALL", "LC_CTYPE", "LANG"}) {
      const char* value = std::getenv(name);
      if (value != nullptr) {
        before_[name] = value;
      }
      unsetenv(name);
    }
    for (const auto& [name, value] : variables) {
      setenv(name.c_str(), value.c_str(), 1);
      set_.push_back(name);
    }
  }
  ~WithEnvironment() {
    for (const std::string& name : set_) {
      unsetenv(name.c_str());
    }
    for (const auto& [name, value] : before_) {
      setenv(name.c_str(), value.c_str(), 1);
    }
  }
  WithEnvironment(const WithEnvironment&) = delete;
  WithEnvironment& operator=(const WithEnvironment&) = delete;

 private:
  std::map<std::string, std::string> before_;
  std::vector<std::string> set_;
};

TEST(DetectTerminal, TheMoreSpecificVariableOfTheLocaleDecides) {
  {
    const WithEnvironment environment(Variables{{"LC_ALL", "C"}, {"LANG", "C.UTF-8"}});
    EXPECT_EQ(DetectTerminal("auto", false).glyphs, Glyphs::kAscii);
  }
  {
    const WithEnvironment environment(Variables{{"LC_CTYPE", "C.UTF-8"}, {"LANG", "C"}});
    EXPECT_EQ(DetectTerminal("auto", false).glyphs, Glyphs::kBraille);
  }
  {
    const WithEnvironment environment(Variables{{"LANG", "C.UTF-8"}});
    EXPECT_EQ(DetectTerminal("auto", false).glyphs, Glyphs::kBraille);
  }
}

TEST(DetectTerminal, ColourCanBeForcedAndRefused) {
  {
    const WithEnvironment environment(Variables{{"CLICOLOR_FORCE", "1"}});
    EXPECT_TRUE(DetectTerminal("auto", false).color);
    EXPECT_FALSE(DetectTerminal("auto", true).color);
  }
  {
    const WithEnvironment environment(Variables{{"CLICOLOR_FORCE", "1"}, {"NO_COLOR", "1"}});
    EXPECT_FALSE(DetectTerminal("auto", false).color);
  }
}

}  // namespace
}  // namespace polyak::cli
