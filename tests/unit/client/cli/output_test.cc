#include "client/cli/output.h"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "polyak/v1/training_job.pb.h"

namespace polyak::cli {
namespace {

TEST(FormatTable, PadsEachColumnToItsWidestCellAndLeavesNoTrailingSpaces) {
  TextTable table;
  table.titles = {"a", "title", "c"};
  table.rows = {{"long cell", "x", ""}, {"", "y", "last"}};
  EXPECT_EQ(FormatTable(table),
            "a          title  c\n"
            "long cell  x\n"
            "           y      last\n");
}

TEST(FormatTable, CountsCharactersNotBytes) {
  TextTable table;
  table.titles = {"name", "b"};
  table.rows = {{"Poly\xc3\xa1k", "x"}};  // 6 characters in 7 bytes
  EXPECT_EQ(FormatTable(table), "name    b\nPoly\xc3\xa1k  x\n");
}

TEST(FormatTable, EscapesWhatWouldControlATerminal) {
  TextTable table;
  table.titles = {"name", "b"};
  table.rows = {{"\033]0;me\a", "x"},
                {std::string("a\0b\nc\td\x7f", 8), "x"},
                {"\xc2\x9b"
                 "2J\xc2\xa0",
                 "x"},  // U+009B, and U+00A0, which is a blank
                {"back\\slash", "x"}};
  EXPECT_EQ(FormatTable(table),
            "name              b\n"
            "\\x1b]0;me\\x07     x\n"
            "a\\x00b\\nc\\td\\x7f  x\n"
            "\\x9b2J\xc2\xa0           x\n"
            "back\\slash        x\n");
}

TEST(FormatCsv, QuotesCellsThatWouldBreakARow) {
  TextTable table;
  table.titles = {"name", "value"};
  table.rows = {{"a,b", "say \"hi\""}, {"two\nlines", "plain"}, {"", "\r"}};
  EXPECT_EQ(FormatCsv(table),
            "name,value\n"
            "\"a,b\",\"say \"\"hi\"\"\"\n"
            "\"two\nlines\",plain\n"
            ",\"\r\"\n");
}

v1::TrainingJob SomeJob() {
  v1::TrainingJob job;
  job.set_name("trainingJobs/a");
  job.set_display_name("two\nlines, \"quoted\", \xc3\xa9");
  (*job.mutable_labels())["truth"] = "true";
  (*job.mutable_labels())["number"] = "1e5";
  (*job.mutable_labels())["nothing"] = "null";
  job.mutable_spec()->set_seed(9007199254740993);  // 2^53 + 1: no double
  job.mutable_resolution()->set_momentum(0.1);
  job.mutable_resolution()->mutable_prediction()->set_bound_rate(std::nan(""));
  job.mutable_resolution()->mutable_prediction()->set_condition_number(
      std::numeric_limits<double>::infinity());
  job.set_state(v1::TrainingJob::STATE_RUNNING);
  return job;
}

TEST(ToJson, IsOneLineThatReadsBackAsTheSameMessage) {
  const std::string text = ToJson(SomeJob());
  EXPECT_EQ(text.find('\n'), std::string::npos);
  v1::TrainingJob back;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(text, &back).ok()) << text;
  // As text: NaN is not equal to itself, and a map has no order in bytes.
  EXPECT_EQ(back.DebugString(), SomeJob().DebugString());
}

TEST(ToJson, PrintsDefaultsOnlyWhenAsked) {
  v1::Resolution resolution;
  EXPECT_EQ(ToJson(resolution), "{}");
  EXPECT_THAT(ToJson(resolution, true), ::testing::HasSubstr("\"momentum\":0"));
}

TEST(ToYaml, IsBlockStyleWithTheContentOfTheJson) {
  const auto text = ToYaml(SomeJob());
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(text->back(), '\n');
  EXPECT_EQ(text->find('{'), std::string::npos) << *text;
  const YAML::Node node = YAML::Load(*text);
  EXPECT_EQ(node["name"].as<std::string>(), "trainingJobs/a");
  EXPECT_EQ(node["displayName"].as<std::string>(), SomeJob().display_name());
  EXPECT_EQ(node["spec"]["seed"].as<int64_t>(), 9007199254740993);
  EXPECT_EQ(node["resolution"]["momentum"].as<double>(), 0.1);
}

TEST(ToYaml, KeepsTextThatLooksLikeSomethingElseAsText) {
  const auto text = ToYaml(SomeJob());
  ASSERT_TRUE(text.ok()) << text.status();
  for (const char* quoted : {"\"true\"", "\"1e5\"", "\"null\""}) {
    EXPECT_THAT(*text, ::testing::HasSubstr(quoted));
  }
}

TEST(ExactNumber, ReadsBackAsTheSameDouble) {
  std::mt19937_64 bits(1);
  for (int k = 0; k < 20000; ++k) {
    const uint64_t pattern = bits();
    double value = 0;
    std::memcpy(&value, &pattern, sizeof(value));
    const std::string text = ExactNumber(value);
    const double back = std::strtod(text.c_str(), nullptr);
    EXPECT_TRUE(back == value || (std::isnan(back) && std::isnan(value))) << text;
  }
}

TEST(ExactNumber, NamesWhatIsNoNumber) {
  EXPECT_EQ(ExactNumber(std::nan("")), "nan");
  EXPECT_EQ(ExactNumber(-std::nan("")), "nan");
  EXPECT_EQ(ExactNumber(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(ExactNumber(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(ShortNumber, HasSixDigitsAndADashForNone) {
  EXPECT_EQ(ShortNumber(0.123456789), "0.123457");
  EXPECT_EQ(ShortNumber(1e-8), "1e-08");
  EXPECT_EQ(ShortNumber(std::nan("")), "-");
}

}  // namespace
}  // namespace polyak::cli
