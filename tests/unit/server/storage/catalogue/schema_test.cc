#include "server/storage/catalogue/schema.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class SchemaTest : public ::testing::Test {
 protected:
  void ExpectRefused(const std::string& part, const std::string& other_part) {
    const absl::Status status = CheckSchema(database_);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(part), HasSubstr(other_part)));
  }
  SQLite::Database database_{":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE};
};

TEST_F(SchemaTest, AnEmptyFileBecomesACatalogueAndStaysOne) {
  ASSERT_TRUE(CheckSchema(database_).ok());
  MigrateSchema(database_);
  EXPECT_EQ(database_.execAndGet("PRAGMA user_version").getInt(), kCatalogueVersion);
  EXPECT_TRUE(CheckSchema(database_).ok());
  database_.exec("INSERT INTO tombstones VALUES ('a', 5)");
  MigrateSchema(database_);  // nothing to do
  EXPECT_EQ(database_.execAndGet("SELECT COUNT(*) FROM tombstones").getInt(), 1);
}

TEST_F(SchemaTest, AnOlderVersionIsBroughtUpAndKeepsWhatItHolds) {
  MigrateSchema(database_);
  database_.exec("DROP TABLE dataset_uses");
  database_.exec("PRAGMA user_version = 1");
  database_.exec("INSERT INTO tombstones VALUES ('a', 5)");
  ASSERT_TRUE(CheckSchema(database_).ok());
  MigrateSchema(database_);
  EXPECT_EQ(database_.execAndGet("PRAGMA user_version").getInt(), kCatalogueVersion);
  EXPECT_EQ(database_.execAndGet("SELECT COUNT(*) FROM dataset_uses").getInt(), 0);
  EXPECT_EQ(database_.execAndGet("SELECT COUNT(*) FROM tombstones").getInt(), 1);
}

TEST_F(SchemaTest, ANewerVersionIsRefusedWithBothVersions) {
  MigrateSchema(database_);
  database_.exec(absl::StrCat("PRAGMA user_version = ", kCatalogueVersion + 41));
  ExpectRefused(absl::StrCat("version ", kCatalogueVersion + 41),
                absl::StrCat("1 to ", kCatalogueVersion));
}

TEST_F(SchemaTest, AnotherProgramsTablesAreRefused) {
  database_.exec("CREATE TABLE bookmarks (url TEXT)");
  ExpectRefused("another program", "0x00000000");
  database_.exec("PRAGMA application_id = 252006");
  ExpectRefused("another program", "0x0003d866");
}

}  // namespace
}  // namespace polyak::storage
