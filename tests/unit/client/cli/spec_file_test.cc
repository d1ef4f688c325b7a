#include "client/cli/spec_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kText[] = R"(# a comment
quadratic { spectrum { explicit { eigenvalues: [1, 10] } } }
optimizer { polyak_momentum { momentum: 0.5 } }
seed: 9007199254740993
)";
constexpr char kJson[] = R"(
{"quadratic": {"spectrum": {"explicit": {"eigenvalues": [1, 10]}}},
 "optimizer": {"polyakMomentum": {"momentum": 0.5}},
 "seed": "9007199254740993"}
)";

std::string ErrorOf(const std::string& text) {
  return std::string(ParseSpecText(text, "spec").status().message());
}

// A folder of its own for the files of one test.
class SpecFile : public ::testing::Test {
 protected:
  SpecFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "polyak-spec-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    std::filesystem::permissions(folder_, std::filesystem::perms::all);
  }
  ~SpecFile() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& text) const {
    std::ofstream(folder_ / "spec") << text;
    return (folder_ / "spec").string();
  }

  std::filesystem::path folder_;
};

TEST(SpecText, TextFormatAndJsonSayTheSame) {
  const auto text = ParseSpecText(kText, "text");
  const auto json = ParseSpecText(kJson, "json");
  ASSERT_TRUE(text.ok()) << text.status();
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(text->seed(), 9007199254740993);
  EXPECT_EQ(text->SerializeAsString(), json->SerializeAsString());
}

TEST(SpecText, AMistakeInTextFormatHasItsLineAndColumn) {
  EXPECT_EQ(
      ErrorOf("quadratic {\n  spectrum { nosuch: 3 }\n}"),
      "spec is not a TrainingJobSpec in protobuf text format: line 2, column 20: Message type "
      "\"polyak.v1.Spectrum\" has no field named \"nosuch\".");
  EXPECT_THAT(ErrorOf("\nseed: x"), HasSubstr("line 2, column 7"));
  EXPECT_THAT(ErrorOf("quadratic {"), HasSubstr("line 1, column 12"));
}

TEST(SpecText, AMistakeInJsonHasItsLineAndColumn) {
  EXPECT_EQ(ErrorOf("{\"seed\": 3\n \"plan\": 1}"),
            "spec is not JSON of a TrainingJobSpec: line 2, column 2: expected ',' or '}', got "
            "'\"plan\"'");
  EXPECT_THAT(ErrorOf("{\n \"optimizer\": {\n  \"polyakMomentum\": {\"stepsize\": 1}}}"),
              HasSubstr("line 3, column 22: (optimizer.polyak_momentum) stepsize"));
  EXPECT_THAT(ErrorOf("{\n\"stopping\": {\"maxIterations\": \"x\"}}"),
              HasSubstr("line 2, column 14: (stopping.max_iterations)"));
  EXPECT_THAT(ErrorOf("{\"seed\": 1e400}"), HasSubstr("line 1, column 10"));
}

TEST(SpecText, AnErrorIsOneLine) {
  for (const char* text :
       {"quadratic {", "{\"seed\": 3", "{\"seed\": 1e400}", "{\"seed\": {}}", "{\"nosuch\": 1}",
        "nosuch", "{\"quadratic\": {}, \"reluNetwork\": {}}"}) {
    EXPECT_EQ(ErrorOf(text).find('\n'), std::string::npos) << ErrorOf(text);
    EXPECT_THAT(ErrorOf(text), HasSubstr("line 1, column ")) << text;
  }
}

TEST_F(SpecFile, IsReadWhole) {
  const auto spec = ReadSpecFile(Write(kText));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->seed(), 9007199254740993);
  // Longer than any buffer on the way.
  const auto late = ReadSpecFile(Write(std::string(300'000, ' ') + "\nseed: 3\n"));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->seed(), 3);
}

TEST_F(SpecFile, CanBeEmpty) {
  const auto spec = ReadSpecFile(Write(""));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->ByteSizeLong(), 0u);
}

TEST_F(SpecFile, ADashIsStandardInput) {
  std::istringstream input(kJson);
  std::streambuf* const before = std::cin.rdbuf(input.rdbuf());
  const auto spec = ReadSpecFile("-");
  std::cin.rdbuf(before);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->seed(), 9007199254740993);
}

TEST_F(SpecFile, ErrorsNameTheFileAndTheReason) {
  const auto error = [](const std::string& path) {
    return absl::StrCat(ReadSpecFile(path).status().message());
  };
  EXPECT_EQ(
      error((folder_ / "none").string()),
      "can't read the spec file '" + (folder_ / "none").string() + "': No such file or directory");
  EXPECT_THAT(error(folder_.string()), HasSubstr("it is a directory"));
  // Opens, but reading its first byte fails: nothing is mapped at address 0.
  EXPECT_THAT(error("/proc/self/mem"), HasSubstr("Input/output error"));
}

TEST_F(SpecFile, AFileThatMayNotBeReadIsNoEmptyFile) {
  const std::string path = Write(kText);
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  // The superuser may read everything; nobody (65534) may not.
  const bool superuser = geteuid() == 0;
  if (superuser) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  const auto spec = ReadSpecFile(path);
  if (superuser) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_THAT(std::string(spec.status().message()), HasSubstr("Permission denied"));
}

}  // namespace
}  // namespace polyak::cli
