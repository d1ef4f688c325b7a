#include "tests/rules/text.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::rules {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::vector<File>& Tree() {
  static const auto& files = *new std::vector<File>(ReadTree());
  return files;
}

// Data and generated lists are not ours to word.
bool IsOurText(const std::string& path) {
  return !EndsWith(path, ".csv") && path != "package-lock.json" && path != "LICENSE" &&
         !StartsWith(path, "proto/google/");
}

TEST(TheTree, HasShortLinesAndShortSources) {
  size_t sources = 0;
  for (const File& file : Tree()) {
    sources += EndsWith(file.path, ".cc") ? 1 : 0;
    const Findings findings = CheckLengths(file);
    EXPECT_TRUE(findings.empty()) << Join(findings);
  }
  EXPECT_GE(sources, 100U);  // that they are found at all
}

TEST(TheTree, HasNoneOfTheBannedWords) {
  for (const File& file : Tree()) {
    if (IsOurText(file.path)) {
      const Findings findings = CheckWords(file);
      EXPECT_TRUE(findings.empty()) << Join(findings);
    }
  }
}

TEST(TheTree, HasDecisionsWithAllFourParts) {
  size_t pages = 0;
  for (const File& file : Tree()) {
    if (StartsWith(file.path, "docs/decisions/")) {
      ++pages;
      const Findings findings = CheckDecision(file);
      EXPECT_TRUE(findings.empty()) << Join(findings);
    }
  }
  EXPECT_GE(pages, 5U);
}

TEST(TheTree, HasNoDocsLinkThatLeadsNowhere) {
  const std::set<std::string> paths = ListTree();
  for (const File& file : Tree()) {
    if (IsOurText(file.path)) {
      const Findings findings = CheckLinks(file, paths);
      EXPECT_TRUE(findings.empty()) << Join(findings);
    }
  }
}

// Below: each rule on a text with one fault planted. Words are cut in two, so that this file does
// not have them itself.

TEST(CheckLengths, CountsCharactersNotBytes) {
  EXPECT_THAT(CheckLengths({"a.cc", std::string(100, 'x') + "\n"}), IsEmpty());
  std::string umlauts;
  for (int k = 0; k < 100; ++k) umlauts += "\xC3\xBC";
  EXPECT_THAT(CheckLengths({"a.cc", umlauts}), IsEmpty());
  EXPECT_THAT(CheckLengths({"a.h", "\n" + std::string(101, 'x')}),
              ElementsAre("a.h:2: 101 columns; accepted: up to 100"));
}

TEST(CheckLengths, CatchesALongSourceAndLeavesOtherTextsAlone) {
  std::string text;
  for (int k = 0; k < 600; ++k) text += "x\n";
  EXPECT_THAT(CheckLengths({"a.cc", text}), IsEmpty());
  EXPECT_THAT(CheckLengths({"a.cc", text + "x\n"}),
              ElementsAre("a.cc: 601 lines; accepted: up to 600"));
  EXPECT_THAT(CheckLengths({"a.md", text + std::string(300, 'x')}), IsEmpty());
}

TEST(CheckWords, CatchesNotesToOneself) {
  for (const std::string word : {"TO"
                                 "DO",
                                 "FIX"
                                 "ME",
                                 "XX"
                                 "X",
                                 "HA"
                                 "CK"}) {
    EXPECT_THAT(CheckWords({"a.cc", "int a;\n// " + word + ": later\n"}),
                ElementsAre(HasSubstr("a.cc:2: '" + word + "'")));
  }
  EXPECT_THAT(CheckWords({"a.sh", "mktemp /tmp/polyak-XXXXXX; hacks"}), IsEmpty());
}

TEST(CheckWords, CatchesPathsOfOneMachine) {
  for (const std::string path : {"/ho"
                                 "me/someone/x",
                                 "/wo"
                                 "rk/main",
                                 "/ro"
                                 "ot/.ssh"}) {
    EXPECT_THAT(CheckWords({"a.md", "see " + path}), ElementsAre(HasSubstr("one machine")));
    EXPECT_THAT(CheckWords({"a.md", path}), SizeIs(1));
  }
  EXPECT_THAT(CheckWords({"a.md",
                          "frame/wo"
                          "rk/ $HOME/wo"
                          "rk/x https://x.org/ho"
                          "me/"}),
              IsEmpty());
}

TEST(CheckWords, CatchesHostsOfRegistries) {
  for (const std::string host : {"registry.np"
                                 "mjs.org",
                                 "py"
                                 "pi.org",
                                 "gh"
                                 "cr.io",
                                 "deb.deb"
                                 "ian.org"}) {
    EXPECT_THAT(CheckWords({"a.json", "\"https://" + host + "/x\""}),
                ElementsAre(HasSubstr("package registry")));
  }
}

TEST(CheckWords, CatchesToolsThatWriteText) {
  for (const std::string word : {"Cla"
                                 "ude",
                                 "chat"
                                 "GPT",
                                 "Cop"
                                 "ilot",
                                 "an L"
                                 "LM",
                                 "a language"
                                 " model",
                                 "A"
                                 "I",
                                 "coding"
                                 " assistant"}) {
    EXPECT_THAT(CheckWords({"a.md", "made with " + word + "."}),
                ElementsAre(HasSubstr("no part of the project")))
        << word;
  }
  EXPECT_THAT(CheckWords({"a.md", "the linear model, AIPs, main, an assistant professor"}),
              IsEmpty());
}

TEST(CheckWords, CatchesATestThatSkips) {
  EXPECT_THAT(CheckWords({"a_test.cc",
                          "  GTEST_"
                          "SKIP();"}),
              ElementsAre(HasSubstr("skips")));
}

constexpr char kPage[] = "# Title\n\n## Question\n\n## Choice\n\n## Rejected\n\n## Price\n";

TEST(CheckDecision, AsksForFourHeadingsInTheirOrder) {
  EXPECT_THAT(CheckDecision({"d.md", kPage}), IsEmpty());
  EXPECT_THAT(CheckDecision({"d.md", "# Title\n## Question\n## Choice\n## Rejected\n"}), SizeIs(1));
  EXPECT_THAT(CheckDecision({"d.md", "# Title\n## Choice\n## Question\n## Rejected\n## Price\n"}),
              SizeIs(1));
  EXPECT_THAT(CheckDecision({"d.md", std::string(kPage).substr(8)}),
              ElementsAre(HasSubstr("has 0 titles")));
}

TEST(CheckLinks, FollowsPathsFromTheRootInAnyFile) {
  const std::set<std::string> paths = {"docs/theory.md", "docs/decisions/thread-sanitizer.md"};
  EXPECT_THAT(CheckLinks({"a.cc", "// Source: docs/theory.md, (T1). In docs/decisions."}, paths),
              IsEmpty());
  EXPECT_THAT(CheckLinks({"a.cc",
                          "// see docs/"
                          "absent.md.\n"},
                         paths),
              ElementsAre("a.cc:1: leads to docs/"
                          "absent.md, which is not there"));
}

TEST(CheckLinks, FollowsRelativeLinksOfAPage) {
  const std::set<std::string> paths = {"docs/theory.md", "docs/decisions/thread-sanitizer.md",
                                       "LICENSE"};
  EXPECT_THAT(CheckLinks({"docs/decisions/thread-sanitizer.md",
                          "[t](../theory.md) [l](../../LICENSE) [w](https://x.org/y.md) [h](#x) "
                          "[s](../theory.md#rates) [f](..)"},
                         paths),
              IsEmpty());
  EXPECT_THAT(CheckLinks({"docs/decisions/thread-sanitizer.md", "[t](theory.md)"}, paths),
              ElementsAre(HasSubstr("leads to docs/"
                                    "decisions/theory.md")));
  EXPECT_THAT(CheckLinks({"README.md",
                          "![p](docs/"
                          "absent.png)"},
                         paths),
              SizeIs(1));
}

}  // namespace
}  // namespace polyak::rules
