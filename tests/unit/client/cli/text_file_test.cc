#include "client/cli/text_file.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"

namespace polyak::cli {
namespace {

using ::testing::HasSubstr;

TEST(TextFile, ReadsAllOfAFile) {
  const testing_support::TemporaryFolder folder;
  const std::string path = folder.path() + "/text";
  const std::string text(200'000, 'x');
  std::ofstream(path) << text;
  EXPECT_EQ(*ReadTextFile(path, "the text"), text);
  std::ofstream(path) << "";
  EXPECT_EQ(*ReadTextFile(path, "the text"), "");
}

TEST(TextFile, SaysWhatCantBeReadAndWhy) {
  const testing_support::TemporaryFolder folder;
  EXPECT_THAT(std::string{ReadTextFile(folder.path(), "the text").status().message()},
              HasSubstr("can't read the text '" + folder.path() + "': it is a directory"));
  EXPECT_THAT(std::string{ReadTextFile(folder.path() + "/none", "the text").status().message()},
              HasSubstr("No such file"));
}

}  // namespace
}  // namespace polyak::cli
