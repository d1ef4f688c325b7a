#include "client/cli/number_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(NumberTable, TakesEverySeparatorAndTitles) {
  for (const char* const text : {"a,b,c\n1,2,3\n-4,5e1,0.25\n", "1;2;3\r\n-4;5e1;0.25\r\n",
                                 "\n1 2   3\n\n-4 5e1 .25", "x\ty\tz\n 1\t2\t3\n-4\t50\t0.25"}) {
    const auto table = ParseNumberTable(text, "data");
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(table->rows, 2);
    EXPECT_EQ(table->columns, 3);
    EXPECT_THAT(table->values, ElementsAre(1, 2, 3, -4, 50, 0.25));
  }
}

TEST(NumberTable, NamesTheLineOfWhatItRefuses) {
  const auto refusal = [](const char* text) {
    return std::string{ParseNumberTable(text, "data.csv").status().message()};
  };
  EXPECT_THAT(refusal("a,b\n1,2\n3\n"),
              HasSubstr("data.csv, line 3: has 1 cells; accepted: 2, as in the first row"));
  EXPECT_THAT(refusal("1,2\n3,four\n"),
              HasSubstr("data.csv, line 2: 'four'; accepted: a finite number"));
  EXPECT_THAT(refusal("1,2\n3,\n"), HasSubstr("line 2: ''"));
  EXPECT_THAT(refusal("1,inf\n"), HasSubstr("line 1: 'inf'"));
  EXPECT_THAT(refusal("1,x\n"), HasSubstr("line 1: 'x'"));
  EXPECT_THAT(refusal("a,b\nc,d\n"), HasSubstr("line 2: 'c'"));
  EXPECT_THAT(refusal("\n\n"), HasSubstr("data.csv has no row"));
}

TEST(NumberTable, TakesNoDecimalCommaForASeparator) {
  const auto refusal = [](const char* text) {
    return std::string{ParseNumberTable(text, "data.csv").status().message()};
  };
  EXPECT_THAT(refusal("1,5;2,5\n3,5;4,5\n"),
              HasSubstr("data.csv, line 1: has ',', and the data are separated by ';'; accepted: "
                        "one separator for all lines, and decimal points"));
  EXPECT_THAT(refusal("1.5\t2.5\n3,5\t4.5\n"),
              HasSubstr("line 2: has ',', and the data are separated by a tab"));
  EXPECT_THAT(refusal("1,5;2,5\n3;4\n"), HasSubstr("line 1: has ','"));
  // A line of one number shows it only by what separates the others.
  EXPECT_THAT(refusal("a;b\n1,5\n"), HasSubstr("line 2: has ','"));
  EXPECT_THAT(refusal("1,5\n3;4\n"), HasSubstr("line 1: has ','"));
  EXPECT_THAT(refusal("1;2\t3\n"), HasSubstr("line 1: has a tab"));
  EXPECT_THAT(refusal("1\t2;3\n"), HasSubstr("line 1: has ';', and the data are separated by a"));
  const auto titled = ParseNumberTable("length, cm;width\n1;2\n", "data.csv");
  ASSERT_TRUE(titled.ok()) << titled.status();
  EXPECT_THAT(titled->values, ElementsAre(1, 2));
}

TEST(NumberTable, SaysWhichFileCantBeRead) {
  EXPECT_THAT(std::string{ReadNumberTable("/nowhere/x.csv").status().message()},
              HasSubstr("can't read the data file '/nowhere/x.csv': No such file"));
}

}  // namespace
}  // namespace polyak::cli
