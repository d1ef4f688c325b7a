#include "server/storage/catalogue/connection.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/catalogue/schema.h"
#include "tests/support/catalogue_fixture.h"

namespace polyak::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ConnectionTest : public testing_support::CatalogueTest {
 protected:
  std::string Contents(const std::string& path) {
    const auto file = disk_.Open(path, base::FileSystem::Mode::kRead);
    EXPECT_TRUE(file.ok()) << file.status();
    std::string bytes(static_cast<size_t>(*(*file)->Size()), '\0');
    EXPECT_TRUE((*file)->Read(0, bytes).ok());
    return bytes;
  }
  void ExpectRefusedAndUntouched(absl::StatusCode code, const std::string& part) {
    const std::string before = Contents(kFile);
    const auto refused = Connection::Open(files_, kFile);
    EXPECT_EQ(refused.status().code(), code) << refused.status();
    EXPECT_THAT(std::string(refused.status().message()), StartsWith(kFile));
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr(part));
    EXPECT_EQ(Contents(kFile), before);
  }
};

TEST_F(ConnectionTest, IsExclusiveSyncedAndWithoutSharedMemory) {
  const auto connection = Connect();
  SQLite::Database& database = connection->database();
  EXPECT_EQ(database.execAndGet("PRAGMA locking_mode").getString(), "exclusive");
  EXPECT_EQ(database.execAndGet("PRAGMA journal_mode").getString(), "wal");
  EXPECT_EQ(database.execAndGet("PRAGMA synchronous").getInt(), 2);  // FULL
  EXPECT_EQ(database.execAndGet("PRAGMA trusted_schema").getInt(), 0);
  EXPECT_EQ(database.execAndGet("PRAGMA temp_store").getInt(), 2);  // MEMORY
  database.exec("INSERT INTO tombstones VALUES ('a', 1)");
  EXPECT_FALSE(*disk_.Exists("/data/catalogue.db-shm"));
}

TEST_F(ConnectionTest, ClosingLeavesOneFile) {
  Connect()->database().exec("INSERT INTO tombstones VALUES ('a', 1)");
  EXPECT_THAT(*disk_.List(kDirectory), ::testing::Contains("catalogue.db"));
  EXPECT_FALSE(*disk_.Exists(kLog));
  EXPECT_EQ(Connect()->database().execAndGet("SELECT COUNT(*) FROM tombstones").getInt(), 1);
}

TEST_F(ConnectionTest, RefusesANewerFormatAndLeavesItAlone) {
  Connect()->database().exec("PRAGMA user_version = 9");
  ExpectRefusedAndUntouched(absl::StatusCode::kFailedPrecondition, "version 9");
}

TEST_F(ConnectionTest, RefusesADatabaseOfAnotherProgramAndLeavesItAlone) {
  Connect()->database().exec("PRAGMA application_id = 5");
  ExpectRefusedAndUntouched(absl::StatusCode::kFailedPrecondition, "another program");
}

TEST_F(ConnectionTest, RefusesAFileThatIsNoDatabaseAndLeavesItAlone) {
  const auto file = disk_.Open(kFile, base::FileSystem::Mode::kCreate);
  ASSERT_TRUE((*file)->Write(0, std::string(10'000, 'x')).ok());
  ExpectRefusedAndUntouched(absl::StatusCode::kDataLoss, "not a database");
}

TEST_F(ConnectionTest, SaysWhichFileOfTheDiskFailedAndHow) {
  files_.AddRule({.call = Call::kOpen,
                  .path = kFile,
                  .fault = {.status = absl::PermissionDeniedError("open: Permission denied")}});
  const auto refused = Connection::Open(files_, kFile);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("Permission denied"));
}

// A commit that was written and not synced is visible to the next process, which must not tell of
// it before it is durable.
TEST_F(ConnectionTest, WhatAKilledProcessLeftIsDurableOnceItCanBeRead) {
  Connect();
  // What the log holds after a commit, on a disk whose syncs of it do nothing.
  const size_t swallow = files_.AddRule(
      {.call = Call::kSync,
       .path = "-wal",
       .times = testing_support::FaultyFileSystem::kAlways,
       .fault = {.action = testing_support::FaultyFileSystem::Fault::Action::kSwallow}});
  auto killed = Connect();
  killed->database().exec("INSERT INTO tombstones VALUES ('a', 1)");
  EXPECT_GT(files_.fired(swallow), 0);
  killed->vfs().Freeze(absl::UnavailableError("killed"));
  killed.reset();
  files_.ClearRules();
  const auto next = Connect();
  ASSERT_EQ(next->database().execAndGet("SELECT COUNT(*) FROM tombstones").getInt(), 1);
  testing_support::SimulatedDisk after = disk_.CrashAt(disk_.log_size());  // nothing unsynced
  const auto recovered = Connection::Open(after, kFile);
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_EQ((*recovered)->database().execAndGet("SELECT COUNT(*) FROM tombstones").getInt(), 1);
}

}  // namespace
}  // namespace polyak::storage
