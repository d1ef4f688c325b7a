#include "server/storage/catalogue/sqlite_job_store.h"

#include <google/protobuf/util/message_differencer.h>

#include <array>
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
  // Bytes that are there once, by as many others.
  void ReplaceInFile(const std::string& from, const std::string& to) {
    const auto file = files_.Open(kFile, base::FileSystem::Mode::kUpdate).value();
    std::string bytes(static_cast<size_t>(file->Size().value()), '\0');
    ASSERT_TRUE(file->Read(0, bytes).ok());
    const size_t place = bytes.find(from);
    ASSERT_NE(place, std::string::npos);
    ASSERT_EQ(bytes.find(from, place + 1), std::string::npos);
    ASSERT_EQ(from.size(), to.size());
    ASSERT_TRUE(file->Write(static_cast<int64_t>(place), to).ok());
  }
  void OpenStoreThatMayBreak() {
    auto options = StoreOptions();
    options.on_broken = [this](const absl::Status& /*status*/) { broken_ = true; };
    OpenStore(std::move(options));
  }
  // Of the jobs "bad" and "good" the first has numbers that can't be read, nor taken out.
  void OpenWithADamagedSpec() {
    OpenStore();
    auto bad = JobWithNumbers("bad");
    for (int k = 0; k < 100'000; ++k) {
      bad->mutable_spec()->mutable_quadratic()->add_initial_point(k + 0.5);
    }
    ASSERT_TRUE(calls_->Insert(bad).ok());
    ASSERT_TRUE(calls_->Insert(MakeEndedJob("good", 5)).ok());
    CloseStore();
    // The spec lies on a chain of pages, each beginning with the number of the next one.
    auto connection = Connect();
    const int pages = connection->database().execAndGet("PRAGMA page_count").getInt();
    connection.reset();
    {
      const auto file = files_.Open(kFile, base::FileSystem::Mode::kUpdate).value();
      for (int page = 100; page < pages; page += 50) {
        ASSERT_TRUE(file->Write(int64_t{page} * 4096, std::string(4, '\x7f')).ok());
      }
    }
    OpenStoreThatMayBreak();
  }

  bool broken_ = false;
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
  EXPECT_TRUE(calls_->RemoveDamaged("bad").ok());
}

// What of a job's row is damaged, by SQL, and the uid that is left.
struct Damage {
  const char* sql;
  const char* uid;
};

TEST_F(SqliteJobStoreTest, ADamagedJobCanBeRemovedWhateverOfItIsDamaged) {
  constexpr Damage kDamages[] = {
      {"UPDATE jobs SET form = substr(form, 2) WHERE name = 'bad'", "bad"},
      {"UPDATE jobs SET form = x'' WHERE name = 'bad'", "bad"},
      {"UPDATE jobs SET uid = 'other' WHERE name = 'bad'", "other"},
      {"UPDATE jobs SET uid = '' WHERE name = 'bad'", ""},
      {"UPDATE jobs SET ended = 0 WHERE name = 'bad'", "bad"},
      {"UPDATE jobs SET ended = -1 WHERE name = 'bad'", "bad"},
      {"UPDATE jobs SET cancel_requested = 1 WHERE name = 'bad'", "bad"},
      {"UPDATE jobs SET crc = crc + 1 WHERE name = 'bad'", "bad"},
      {"UPDATE jobs SET spec_crc = NULL WHERE name = 'bad'", "bad"},
      {"UPDATE specs SET spec = substr(spec, 2)", "bad"},
      {"DELETE FROM specs", "bad"},
  };
  for (const Damage& damage : kDamages) {
    SCOPED_TRACE(damage.sql);
    OpenStore();
    ASSERT_TRUE(calls_->Insert(MakeEndedJob("good", 5)).ok());
    auto bad = JobWithNumbers("bad");
    ASSERT_TRUE(calls_->Insert(bad, {"request", "payload"}).ok());
    bad->mutable_end_time()->set_seconds(6);
    ASSERT_TRUE(calls_->Update(bad).ok());
    RunSql(damage.sql);
    OpenStore();
    ASSERT_TRUE(absl::IsDataLoss(calls_->Get("bad").status()));
    EXPECT_TRUE(absl::IsNotFound(calls_->RemoveDamaged("good").status()));
    const auto uid = calls_->RemoveDamaged("bad");
    ASSERT_TRUE(uid.ok()) << uid.status();
    EXPECT_EQ(*uid, damage.uid);
    EXPECT_TRUE(absl::IsNotFound(calls_->RemoveDamaged("bad").status()));
    for (int life = 0; life < 2; ++life) {
      EXPECT_EQ(calls_->Get("bad").status(), absl::NotFoundError("expired"));
      EXPECT_TRUE(absl::IsAlreadyExists(calls_->FindRequest({"request", "payload"}).status()));
      EXPECT_THAT(Names(calls_->List({EveryJob})->jobs), ElementsAre("good"));
      EXPECT_THAT(*store_->LoadUids(), ElementsAre("good"));
      Reopen();
    }
    CloseStore();
    EXPECT_EQ(Connect()->database().execAndGet("SELECT COUNT(*) FROM specs").getInt(), 0);
    EXPECT_TRUE(files_.Remove(kFile).ok());
  }
}

// Bytes of a row turn and its indexes stay as they were: SQLite itself would not take it out.
TEST_F(SqliteJobStoreTest, ADamagedJobCanBeRemovedWhereItsIndexesKnowItByOtherValues) {
  // Of the row: name "bad" and uid "uid-of-bad", one behind the other.
  constexpr std::pair<const char*, const char*> kRows[] = {
      {"baduid-of-xad", "uid-of-xad"},  // of nobody
      {"baduid-of-god", ""},            // of the other job
      {"xxduid-of-bad", "uid-of-bad"}, {"goduid-of-bad", "uid-of-bad"}, {"goduid-of-god", ""},
  };
  for (const auto& [turned, uid] : kRows) {
    SCOPED_TRACE(turned);
    OpenStore();
    ASSERT_TRUE(calls_->Insert(MakeEndedJob("god", 4, "uid-of-god")).ok());
    ASSERT_TRUE(calls_->Insert(MakeEndedJob("bad", 5, "uid-of-bad")).ok());
    CloseStore();
    ReplaceInFile("baduid-of-bad", turned);
    OpenStore();
    ASSERT_TRUE(absl::IsDataLoss(calls_->Get("bad").status())) << calls_->Get("bad").status();
    const auto answer = calls_->RemoveDamaged("bad");
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(*answer, uid);
    for (int life = 0; life < 2; ++life) {
      EXPECT_EQ(calls_->Get("bad").status(), absl::NotFoundError("expired"));
      EXPECT_TRUE(calls_->Get("god").ok());
      EXPECT_THAT(*store_->LoadUids(), ElementsAre("uid-of-god"));
      EXPECT_THAT(Names(calls_->ListEnded(9)->jobs), ElementsAre("god"));
      Reopen();
    }
    // Names and uids are free, and SQLite finds nothing wrong.
    EXPECT_TRUE(calls_->Insert(MakeEndedJob("bad", 5, "uid-of-bad")).ok());
    EXPECT_TRUE(calls_->Remove("god").ok());
    CloseStore();
    EXPECT_EQ(Connect()->database().execAndGet("PRAGMA integrity_check").getString(), "ok");
    EXPECT_TRUE(files_.Remove(kFile).ok());
  }
}

// Damage beyond a row is an answer, and not the end of the store.
TEST_F(SqliteJobStoreTest, WhatCanNotBeTakenOutLeavesTheOtherJobsAlone) {
  OpenWithADamagedSpec();
  EXPECT_TRUE(absl::IsDataLoss(calls_->Get("bad").status()));
  const auto removed = calls_->RemoveDamaged("bad");
  EXPECT_TRUE(absl::IsDataLoss(removed.status())) << removed.status();
  EXPECT_TRUE(calls_->Get("good").ok());
  EXPECT_TRUE(calls_->Insert(MakeJob("new")).ok());
  EXPECT_TRUE(calls_->Remove("good").ok());
  EXPECT_FALSE(broken_);
}

// Changes that come together: one of them meets a damaged page.
TEST_F(SqliteJobStoreTest, AChangeThatMeetsADamagedPageIsRefusedAloneAndBreaksNothing) {
  OpenWithADamagedSpec();
  // Its form is whole; the numbers of its spec, which go with it, can't be taken out.
  std::array<std::promise<absl::Status>, 3> answers;
  const auto answer = [&](int k) {
    return [&answers, k](const absl::Status& status) { answers[k].set_value(status); };
  };
  store_->Insert(MakeJob("before"), {}, answer(0));
  store_->Remove("bad", "bad", answer(1));
  store_->Insert(MakeJob("after"), {}, answer(2));
  EXPECT_TRUE(answers[0].get_future().get().ok());
  const absl::Status refused = answers[1].get_future().get();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("polyakd rebuild --replace"));
  EXPECT_TRUE(answers[2].get_future().get().ok());
  EXPECT_TRUE(calls_->Remove("good").ok());
  EXPECT_FALSE(broken_);
  Reopen();
  EXPECT_TRUE(calls_->Get("before").ok());
  EXPECT_TRUE(calls_->Get("after").ok());
  EXPECT_TRUE(absl::IsNotFound(calls_->Get("good").status()));
}

// What has expired is forgotten in passing, in the transaction of whatever comes.
TEST_F(SqliteJobStoreTest, WhereWhatHasExpiredIsDamagedEveryOtherChangeGoesOn) {
  OpenStore();
  ASSERT_TRUE(calls_->Insert(MakeEndedJob("a", 5), {"request", "payload"}).ok());
  CloseStore();
  auto connection = Connect();
  const int page =
      connection->database()
          .execAndGet("SELECT rootpage FROM sqlite_schema WHERE name = 'requests_by_expiry'")
          .getInt();
  connection.reset();
  {
    const auto file = files_.Open(kFile, base::FileSystem::Mode::kUpdate).value();
    ASSERT_TRUE(file->Write((int64_t{page} - 1) * 4096, std::string(4096, '\x7f')).ok());
  }
  OpenStoreThatMayBreak();
  EXPECT_TRUE(calls_->Insert(MakeJob("b")).ok());
  EXPECT_TRUE(calls_->Insert(MakeJob("c")).ok());
  EXPECT_TRUE(calls_->Remove("a").ok());
  // One that would be written there is refused, and names what can be done.
  const absl::Status refused = calls_->Insert(MakeJob("d"), {"another", "payload"});
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("the catalogue is damaged"));
  EXPECT_FALSE(broken_);
  EXPECT_THAT(Names(calls_->List({EveryJob})->jobs), ElementsAre("c", "b"));
}

// The name is not another job's by now, as Remove would say of a job with another uid.
TEST_F(SqliteJobStoreTest, ARemovalOfADamagedJobSaysThatItIsDamaged) {
  OpenStore();
  ASSERT_TRUE(calls_->Insert(MakeEndedJob("bad", 5)).ok());
  RunSql("UPDATE jobs SET uid = 'other'");
  OpenStore();
  EXPECT_TRUE(absl::IsDataLoss(calls_->Remove("bad", "bad")));
  EXPECT_EQ(*calls_->RemoveDamaged("bad"), "other");
}

TEST_F(SqliteJobStoreTest, ANewerCatalogueIsRefusedAtOpening) {
  OpenStore();
  RunSql("PRAGMA user_version = 3");
  const auto refused = SqliteJobStore::Open(files_, clock_, StoreOptions());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("version 3"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("1 to 2"));
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
