#include "server/storage/catalogue/sqlite_job_store.h"

#include <google/protobuf/util/message_differencer.h>

#include <future>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/catalogue_fixture.h"

// What it does as every job store is in tests/conformance/job_store_test.cc.

namespace polyak::storage {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::EveryJob;
using testing_support::MakeEndedJob;
using testing_support::MakeJob;
using testing_support::Names;

class SqliteJobStoreTest : public testing_support::CatalogueTest {
 protected:
  void Reopen() {
    CloseStore();
    OpenStore();
  }
  static std::shared_ptr<v1::TrainingJob> JobWithNumbers(const std::string& name) {
    auto job = MakeJob(name);
    job->mutable_spec()->mutable_quadratic()->add_initial_point(0.1);
    return job;
  }
};

TEST_F(SqliteJobStoreTest, FindsEverythingAgainWhenItIsOpenedAnew) {
  OpenStore();
  EXPECT_TRUE(store_->survives_restart());
  const auto running = JobWithNumbers("running");
  ASSERT_TRUE(calls_->Insert(running, {"r", "payload"}).ok());
  ASSERT_TRUE(calls_->RequestCancel("running").ok());
  ASSERT_TRUE(calls_->Insert(MakeJob("ended")).ok());
  ASSERT_TRUE(calls_->Update(MakeEndedJob("ended", 5)).ok());
  ASSERT_TRUE(calls_->Insert(MakeJob("removed"), {"s", "payload"}).ok());
  ASSERT_TRUE(calls_->Remove("removed").ok());
  for (int life = 0; life < 2; ++life) {
    Reopen();
    const auto unfinished = store_->LoadUnfinished();
    ASSERT_TRUE(unfinished.ok());
    ASSERT_EQ(unfinished->size(), 1u);
    EXPECT_TRUE((*unfinished)[0].cancel_requested);
    EXPECT_TRUE(MessageDifferencer::Equals(*(*unfinished)[0].job, *running));
    EXPECT_TRUE(MessageDifferencer::Equals(**calls_->FindRequest({"r", "payload"}), *running));
    EXPECT_TRUE(MessageDifferencer::Equals(**calls_->Get("ended"), *MakeEndedJob("ended", 5)));
    EXPECT_EQ(calls_->Get("removed").status(), absl::NotFoundError("expired"));
    EXPECT_TRUE(absl::IsAlreadyExists(calls_->FindRequest({"s", "payload"}).status()));
    EXPECT_THAT(Names(calls_->List({EveryJob})->jobs), ElementsAre("ended", "running"));
  }
}

// A request id answers its own job and no later one, so no number may be given twice.
TEST_F(SqliteJobStoreTest, ANumberIsNotUsedAgainAfterTheNewestJobWasRemoved) {
  OpenStore();
  ASSERT_TRUE(calls_->Insert(MakeJob("a"), {"r", "payload"}).ok());
  ASSERT_TRUE(calls_->Remove("a").ok());
  Reopen();
  ASSERT_TRUE(calls_->Insert(MakeJob("b")).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(calls_->FindRequest({"r", "payload"}).status()));
}

TEST_F(SqliteJobStoreTest, AnswersAtOnceFromMemoryWhatIsUnfinishedOrWasUsedLast) {
  OpenStore();
  ASSERT_TRUE(calls_->Insert(MakeJob("a")).ok());
  ASSERT_TRUE(calls_->Insert(MakeEndedJob("b", 5)).ok());
  const int64_t reads = files_.calls(Call::kRead);
  for (const char* name : {"a", "b"}) {
    bool answered = false;
    store_->Get(name, [&](const absl::StatusOr<JobSnapshot>& job) { answered = job.ok(); });
    EXPECT_TRUE(answered) << name;
  }
  EXPECT_EQ(files_.calls(Call::kRead), reads);
  Reopen();
  ASSERT_TRUE(store_->LoadUnfinished().ok());
  bool answered = false;
  store_->Get("a", [&](const absl::StatusOr<JobSnapshot>& job) { answered = job.ok(); });
  EXPECT_TRUE(answered);
}

// Were a change visible before its sync, a client could be told of it and it be lost.
TEST_F(SqliteJobStoreTest, ShowsNoStateThatIsNotDurableYet) {
  OpenStore();
  ASSERT_TRUE(calls_->Insert(MakeJob("a")).ok());
  v1::TrainingJob::State seen = v1::TrainingJob::STATE_UNSPECIFIED;
  files_.SetHook([&](const testing_support::FaultyFileSystem::Operation& operation) {
    if (operation.call == Call::kSync) {
      store_->Get("a", [&](const absl::StatusOr<JobSnapshot>& job) { seen = (*job)->state(); });
    }
    return std::nullopt;
  });
  ASSERT_TRUE(calls_->Update(MakeEndedJob("a", 5)).ok());
  files_.SetHook({});
  EXPECT_EQ(seen, v1::TrainingJob::STATE_QUEUED);
}

TEST_F(SqliteJobStoreTest, ListsLeaveTheNumbersOfSpecsOnTheDisk) {
  OpenStore();
  auto job = MakeJob("a");
  for (int k = 0; k < 100'000; ++k) {
    job->mutable_spec()->mutable_quadratic()->add_initial_point(k + 0.5);
  }
  ASSERT_TRUE(calls_->Insert(job).ok());
  Reopen();
  int64_t read = 0;
  files_.SetHook([&](const testing_support::FaultyFileSystem::Operation& operation) {
    read += operation.call == Call::kRead ? operation.size : 0;
    return std::nullopt;
  });
  const auto listed = calls_->List({EveryJob});
  EXPECT_LT(read, 50'000);  // of 800,000
  ASSERT_EQ(listed->jobs.size(), 1u);
  EXPECT_TRUE(listed->jobs[0]->spec().has_quadratic());
  EXPECT_EQ(listed->jobs[0]->spec().quadratic().initial_point_size(), 0);
  EXPECT_TRUE(MessageDifferencer::Equals(**calls_->Get("a"), *job));
  files_.SetHook({});
}

TEST_F(SqliteJobStoreTest, TellsOfADamagedJobAndGoesOn) {
  OpenStore();
  ASSERT_TRUE(calls_->Insert(MakeJob("good")).ok());
  ASSERT_TRUE(calls_->Insert(MakeJob("bad")).ok());
  RunSql("UPDATE jobs SET form = substr(form, 2) WHERE name = 'bad'");
  std::promise<absl::Status> damage;
  auto options = StoreOptions();
  options.on_damage = [&](absl::Status status) { damage.set_value(std::move(status)); };
  OpenStore(std::move(options));
  EXPECT_EQ(store_->LoadUnfinished()->size(), 1u);
  EXPECT_TRUE(absl::IsDataLoss(calls_->Get("bad").status()));
  EXPECT_THAT(std::string(damage.get_future().get().message()), HasSubstr("bad"));
  EXPECT_TRUE(calls_->Get("good").ok());
  EXPECT_THAT(Names(calls_->List({EveryJob})->jobs), ElementsAre("good"));
  EXPECT_TRUE(calls_->Remove("bad", "bad").ok());
}

TEST_F(SqliteJobStoreTest, ANewerCatalogueIsRefusedAtOpening) {
  OpenStore();
  RunSql("PRAGMA user_version = 2");
  const auto refused = SqliteJobStore::Open(files_, clock_, StoreOptions());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("version 2"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("1 to 1"));
}

TEST_F(SqliteJobStoreTest, AFailedSyncBreaksTheStoreAndNoJobIsAnsweredAnyMore) {
  std::promise<absl::Status> broken;
  auto options = StoreOptions();
  options.on_broken = [&](absl::Status status) { broken.set_value(std::move(status)); };
  OpenStore(std::move(options));
  ASSERT_TRUE(calls_->Insert(MakeJob("a")).ok());
  files_.AddRule({.call = Call::kSync, .path = "-wal", .fault = {}});
  EXPECT_TRUE(absl::IsUnavailable(calls_->Insert(MakeJob("b"))));
  EXPECT_FALSE(broken.get_future().get().ok());
  EXPECT_TRUE(absl::IsUnavailable(calls_->Get("a").status()));
  EXPECT_TRUE(absl::IsUnavailable(calls_->List({EveryJob}).status()));
  EXPECT_TRUE(absl::IsUnavailable(calls_->ListEnded(5).status()));
  EXPECT_TRUE(absl::IsUnavailable(calls_->FindRequest({"r", "p"}).status()));
  EXPECT_TRUE(absl::IsUnavailable(calls_->RequestCancel("a")));
  EXPECT_TRUE(absl::IsUnavailable(calls_->Remove("a")));
  EXPECT_TRUE(absl::IsUnavailable(store_->LoadUnfinished().status()));
  const size_t log_size = disk_.log_size();
  CloseStore();
  EXPECT_EQ(disk_.log_size(), log_size);  // and nothing was written
}

TEST_F(SqliteJobStoreTest, ClosingAnswersWhatWasAskedForBefore) {
  OpenStore();
  int stored = 0;
  for (int k = 0; k < 1'000; ++k) {
    store_->Insert(MakeJob(absl::StrCat("job", k)), {},
                   [&](const absl::Status& status) { stored += status.ok() ? 1 : 0; });
  }
  size_t listed = 0;
  store_->List({EveryJob, 0, 5'000},
               [&](const absl::StatusOr<ListResult>& page) { listed = page->jobs.size(); });
  CloseStore();
  EXPECT_EQ(stored, 1'000);
  EXPECT_LE(listed, 1'000u);
  OpenStore();
  EXPECT_EQ(store_->LoadUnfinished()->size(), 1'000u);
}

}  // namespace
}  // namespace polyak::storage
