#include "server/storage/catalogue/catalogue_thread.h"

#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/catalogue_fixture.h"

namespace polyak::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::Await;
using testing_support::FaultyFileSystem;
using testing_support::MakeJob;

Change Insertion(const std::string& name) {
  const auto job = MakeJob(name);
  return InsertJob{job, MakeJobRow(*job), "", ""};
}

class CatalogueThreadTest : public testing_support::CatalogueTest {
 protected:
  void Start(int batch_max) {
    CatalogueThread::Options options;
    options.batch_max = batch_max;
    options.on_commit = [this](const Change& /*change*/) { Note("commit"); };
    options.on_broken = [this](const absl::Status& /*why*/) {
      Note("broken");
      broken_.set_value();
    };
    connection_ = Connect();
    connection_->database().exec("PRAGMA wal_autocheckpoint = 0");
    thread_.emplace(*connection_, clock_, std::move(options));
  }
  absl::Status Submit(Change change) {
    return Await<absl::Status>([&](const auto& done) {
      thread_->Submit(std::move(change), [this, done](const absl::Status& status) {
        Note("done");
        done(status);
      });
    });
  }
  // Waits in the first sync of the log, so that the other changes queue up behind it. Returns how
  // many syncs all of them took.
  int64_t SyncsFor(int changes) {
    const size_t syncs =
        files_.AddRule({.call = Call::kSync, .path = "-wal", .times = 0, .fault = {}});
    std::latch in_sync(1);
    std::latch go_on(1);
    std::latch answered(changes);
    std::atomic<bool> first = true;
    files_.SetHook([&](const FaultyFileSystem::Operation& operation) {
      if (operation.call == Call::kSync && first.exchange(false)) {
        in_sync.count_down();
        go_on.wait();
      }
      return std::nullopt;
    });
    for (int k = 0; k < changes; ++k) {
      thread_->Submit(Insertion(absl::StrCat("job", k)), [&](const absl::Status& status) {
        EXPECT_TRUE(status.ok()) << status;
        answered.count_down();
      });
      if (k == 0) {
        in_sync.wait();
      }
    }
    go_on.count_down();
    answered.wait();
    files_.SetHook({});
    return files_.matched(syncs);
  }

  void Note(const char* event) {
    const base::MutexLock lock(&mutex_);
    events_.emplace_back(event);
  }
  // Whether on_broken is called, soon.
  bool IsBroken() {
    return broken_.get_future().wait_for(std::chrono::seconds(60)) == std::future_status::ready;
  }
  // Since the last call.
  std::vector<std::string> Events() {
    const base::MutexLock lock(&mutex_);
    return std::exchange(events_, {});
  }

  base::Mutex mutex_;
  std::vector<std::string> events_ ABSL_GUARDED_BY(mutex_);
  std::promise<void> broken_;
  std::unique_ptr<Connection> connection_;
  std::optional<CatalogueThread> thread_;
};

TEST_F(CatalogueThreadTest, WhatQueuesUpDuringASyncSharesTheNext) {
  Start(256);
  ASSERT_TRUE(Submit(Insertion("first")).ok());
  EXPECT_EQ(SyncsFor(256), 2);
}

TEST_F(CatalogueThreadTest, ABatchHasAtMostItsNumberOfChanges) {
  Start(100);
  ASSERT_TRUE(Submit(Insertion("first")).ok());
  EXPECT_EQ(SyncsFor(256), 1 + 3);
}

TEST_F(CatalogueThreadTest, WithoutGroupCommitEachChangeHasItsSync) {
  Start(1);
  ASSERT_TRUE(Submit(Insertion("first")).ok());
  EXPECT_EQ(SyncsFor(256), 256);
}

TEST_F(CatalogueThreadTest, PublishesAChangeAfterItsSyncAndBeforeItsAnswer) {
  Start(256);
  files_.SetHook([this](const FaultyFileSystem::Operation& operation) {
    if (operation.call == Call::kSync && operation.path == kLog) {
      Note("sync");
    }
    return std::nullopt;
  });
  ASSERT_TRUE(Submit(Insertion("a")).ok());
  EXPECT_THAT(Events(), ElementsAre("sync", "commit", "done"));
  EXPECT_TRUE(absl::IsAlreadyExists(Submit(Insertion("a"))));
  EXPECT_THAT(Events(), ::testing::Not(::testing::Contains("commit")));
  files_.SetHook({});
}

TEST_F(CatalogueThreadTest, AFailedSyncBreaksItForGood) {
  Start(256);
  ASSERT_TRUE(Submit(Insertion("a")).ok());
  EXPECT_THAT(Events(), ElementsAre("commit", "done"));
  files_.AddRule({.call = Call::kSync, .path = "-wal", .fault = {}});
  const absl::Status failed = Submit(Insertion("b"));
  EXPECT_TRUE(absl::IsUnavailable(failed));
  EXPECT_THAT(std::string(failed.message()), HasSubstr("may or may not"));
  EXPECT_TRUE(absl::IsUnavailable(thread_->status()));
  ASSERT_TRUE(IsBroken());
  EXPECT_TRUE(absl::IsUnavailable(Submit(Insertion("c"))));
  const absl::Status read = Await<absl::Status>([&](const auto& done) {
    thread_->Submit([done](Queries* queries, const absl::Status& broken) {
      EXPECT_EQ(queries, nullptr);
      done(broken);
    });
  });
  EXPECT_TRUE(absl::IsUnavailable(read));
  EXPECT_THAT(Events(), ElementsAre("done", "broken", "done"));
}

// The checkpoint follows a commit that is durable, and SQLite itself would keep quiet about it.
TEST_F(CatalogueThreadTest, AFailedCheckpointAnswersTheCommitAndBreaksIt) {
  Start(256);
  ASSERT_TRUE(Submit(Insertion("a")).ok());
  connection_->database().exec("PRAGMA wal_autocheckpoint = 1");
  files_.AddRule({.call = Call::kSync, .path = "/data/catalogue.db", .nth = 3, .fault = {}});
  EXPECT_TRUE(Submit(Insertion("b")).ok());  // syncs the log twice, then the file
  ASSERT_TRUE(IsBroken());
  EXPECT_TRUE(absl::IsUnavailable(Submit(Insertion("c"))));
  EXPECT_THAT(Events(), ElementsAre("commit", "done", "commit", "done", "broken", "done"));
  thread_.reset();
  connection_.reset();
  EXPECT_EQ(Connect()->database().execAndGet("SELECT COUNT(*) FROM jobs").getInt(), 2);
}

TEST_F(CatalogueThreadTest, AFullDiskRefusesAndGoesOnWhenThereIsRoomAgain) {
  Start(256);
  ASSERT_TRUE(Submit(Insertion("a")).ok());
  for (const int64_t room : {0, 24, 1'000, 5'000, 9'000}) {
    files_.SetFreeBytes(room);
    EXPECT_TRUE(absl::IsResourceExhausted(Submit(Insertion("b")))) << room;
    EXPECT_TRUE(thread_->status().ok());
    EXPECT_EQ(connection_->database().execAndGet("SELECT COUNT(*) FROM jobs").getInt(), 1);
  }
  files_.SetFreeBytes(std::nullopt);
  EXPECT_TRUE(Submit(Insertion("c")).ok());
  thread_.reset();
  connection_.reset();
  EXPECT_EQ(Connect()->database().execAndGet("SELECT group_concat(name) FROM jobs").getString(),
            "a,c");
}

}  // namespace
}  // namespace polyak::storage
