#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "server/storage/catalogue/connection.h"
#include "server/storage/catalogue/sqlite_job_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/job_store_calls.h"
#include "tests/support/simulated_disk.h"

namespace polyak::testing_support {

// A catalogue on a disk in memory that can fail and be cut off.
class CatalogueTest : public ::testing::Test {
 protected:
  using Call = FaultyFileSystem::Call;
  static constexpr char kDirectory[] = "/data";
  static constexpr char kFile[] = "/data/catalogue.db";
  static constexpr char kLog[] = "/data/catalogue.db-wal";

  CatalogueTest() {
    EXPECT_TRUE(disk_.CreateDirectory(kDirectory).ok());
    EXPECT_TRUE(disk_.SyncDirectory("/").ok());
  }

  storage::SqliteJobStore::Options StoreOptions() {
    storage::SqliteJobStore::Options options;
    options.directory = kDirectory;
    return options;
  }
  void OpenStore(storage::SqliteJobStore::Options options) {
    auto opened = storage::SqliteJobStore::Open(files_, clock_, std::move(options));
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    calls_.emplace(*store_);
  }
  void OpenStore() { OpenStore(StoreOptions()); }
  void CloseStore() { store_.reset(); }

  std::unique_ptr<storage::Connection> Connect() {
    auto connection = storage::Connection::Open(files_, kFile);
    EXPECT_TRUE(connection.ok()) << connection.status();
    return *std::move(connection);
  }
  // Between two lives of the store, by SQL.
  void RunSql(const std::string& sql) {
    CloseStore();
    Connect()->database().exec(sql);
  }

  FakeClock clock_;
  SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
  std::unique_ptr<storage::SqliteJobStore> store_;
  std::optional<JobStoreCalls> calls_;
};

}  // namespace polyak::testing_support
