#include "server/storage/catalogue/sqlite_vfs.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/catalogue/connection.h"
#include "tests/support/catalogue_fixture.h"

namespace polyak::storage {
namespace {

class SqliteVfsTest : public testing_support::CatalogueTest {
 protected:
  static absl::Status Insert(Connection& connection, const std::string& name) {
    return connection.Try([&] {
      connection.database().exec("INSERT INTO tombstones VALUES ('" + name + "', 1)");
      return absl::OkStatus();
    });
  }
};

TEST(SqliteVfs, IsKnownToSqliteUnderANameOfItsOwnWhileItLives) {
  testing_support::SimulatedDisk disk;
  std::string name;
  {
    const SqliteVfs one(disk);
    const SqliteVfs other(disk);
    name = one.name();
    EXPECT_NE(name, other.name());
    EXPECT_NE(sqlite3_vfs_find(name.c_str()), nullptr);
    EXPECT_NE(sqlite3_vfs_find(nullptr)->zName, name);
  }
  EXPECT_EQ(sqlite3_vfs_find(name.c_str()), nullptr);
}

TEST_F(SqliteVfsTest, SyncsTheFolderOfANewFileBeforeTheFirstCommitIsDone) {
  const auto connection = Connect();
  ASSERT_TRUE(Insert(*connection, "a").ok());
  // Nothing unsynced survives, and both names must be there.
  testing_support::SimulatedDisk after = disk_.CrashAt(disk_.log_size());
  EXPECT_TRUE(*after.Exists(kFile));
  EXPECT_TRUE(*after.Exists(kLog));
}

TEST_F(SqliteVfsTest, AfterAFailedSyncNothingIsWrittenAnyMore) {
  auto connection = Connect();
  ASSERT_TRUE(Insert(*connection, "a").ok());
  files_.AddRule({.call = Call::kSync, .path = "-wal", .fault = {}});
  EXPECT_TRUE(absl::IsUnavailable(Insert(*connection, "b")));
  EXPECT_FALSE(connection->vfs().frozen().ok());
  const size_t log_size = disk_.log_size();
  EXPECT_TRUE(absl::IsUnavailable(Insert(*connection, "c")));
  connection.reset();  // would copy and delete the log
  EXPECT_EQ(disk_.log_size(), log_size);
}

TEST_F(SqliteVfsTest, AFullDiskFreezesNothingAndLeavesNoPartOfAnAppend) {
  const auto connection = Connect();
  ASSERT_TRUE(Insert(*connection, "a").ok());
  const int64_t size = *(*disk_.Open(kLog, base::FileSystem::Mode::kRead))->Size();
  files_.SetFreeBytes(1'000);
  EXPECT_TRUE(absl::IsResourceExhausted(Insert(*connection, "b")));
  EXPECT_TRUE(connection->vfs().frozen().ok());
  // The header of the frame fitted, and is whole.
  EXPECT_LE(*(*disk_.Open(kLog, base::FileSystem::Mode::kRead))->Size(), size + 24);
  files_.SetFreeBytes(std::nullopt);
  EXPECT_TRUE(Insert(*connection, "b").ok());
}

TEST_F(SqliteVfsTest, AFullDiskFoundBySyncIsAFailedSync) {
  const auto connection = Connect();
  files_.AddRule({.call = Call::kSync,
                  .path = "-wal",
                  .fault = {.status = absl::ResourceExhaustedError("quota")}});
  EXPECT_TRUE(absl::IsUnavailable(Insert(*connection, "a")));
  EXPECT_FALSE(connection->vfs().frozen().ok());
}

TEST_F(SqliteVfsTest, AFailedReadFreezesNothing) {
  Connect();
  const auto connection = Connect();
  files_.AddRule({.call = Call::kRead, .path = kFile, .fault = {}});
  const absl::Status failed = connection->Try([&] {
    connection->database().execAndGet("SELECT COUNT(*) FROM jobs").getInt();
    return absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsUnavailable(failed)) << failed;
  EXPECT_TRUE(connection->vfs().frozen().ok());
  EXPECT_EQ(connection->database().execAndGet("SELECT COUNT(*) FROM jobs").getInt(), 0);
}

}  // namespace
}  // namespace polyak::storage
