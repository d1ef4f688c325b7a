#include "server/storage/job_store.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/mutex.h"
#include "server/base/posix_file_system.h"
#include "server/storage/catalogue/sqlite_job_store.h"
#include "server/storage/memory_job_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/job_store_calls.h"
#include "tests/support/temporary_folder.h"

// What every job store does, by the comments of the interface.

namespace polyak::storage {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using testing_support::Await;
using testing_support::EveryJob;
using testing_support::MakeEndedJob;
using testing_support::MakeJob;
using testing_support::Names;

enum class Kind { kMemory, kSqlite };

class JobStoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  JobStoreTest() {
    if (GetParam() == Kind::kMemory) {
      store_ = std::make_unique<MemoryJobStore>(clock_);
    } else {
      auto opened = SqliteJobStore::Open(files_, clock_, {.directory = folder_.path()});
      EXPECT_TRUE(opened.ok()) << opened.status();
      store_ = *std::move(opened);
    }
    calls_.emplace(*store_);
  }

  absl::Status Insert(const JobSnapshot& job, const RequestKey& key = {}) {
    return calls_->Insert(job, key);
  }
  // The names of the whole list, page by page.
  std::vector<std::string> AllNames(int64_t page_size) {
    std::vector<std::string> names;
    ListPage page{EveryJob, 0, page_size};
    do {
      const auto result = calls_->List(page);
      EXPECT_TRUE(result.ok()) << result.status();
      EXPECT_LE(static_cast<int64_t>(result->jobs.size()), page_size);
      const auto more = Names(result->jobs);
      names.insert(names.end(), more.begin(), more.end());
      page.before = result->next_before;
    } while (page.before > 0);
    return names;
  }
  void ExpectJob(const absl::StatusOr<JobSnapshot>& found, const v1::TrainingJob& expected) {
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_TRUE(*found != nullptr);
    EXPECT_TRUE(MessageDifferencer::Equals(**found, expected)) << (*found)->DebugString();
  }
  void ExpectNoJob(const absl::StatusOr<JobSnapshot>& found) {
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(*found == nullptr);
  }

  testing_support::FakeClock clock_;
  testing_support::TemporaryFolder folder_;
  base::PosixFileSystem files_;
  std::unique_ptr<JobStore> store_;
  std::optional<testing_support::JobStoreCalls> calls_;
};

INSTANTIATE_TEST_SUITE_P(Every, JobStoreTest, ::testing::Values(Kind::kMemory, Kind::kSqlite),
                         [](const auto& kind) {
                           return kind.param == Kind::kMemory ? "Memory" : "Sqlite";
                         });

TEST_P(JobStoreTest, AnswersTheSnapshotThatWasStoredLast) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  ExpectJob(calls_->Get("a"), *MakeJob("a"));
  const auto second = MakeJob("a");
  second->set_state(v1::TrainingJob::STATE_RUNNING);
  ASSERT_TRUE(calls_->Update(second).ok());
  ExpectJob(calls_->Get("a"), *second);
  const auto third = MakeEndedJob("a", 5);
  ASSERT_TRUE(calls_->Update(third).ok());
  ExpectJob(calls_->Get("a"), *third);
}

TEST_P(JobStoreTest, ATakenNameIsRefusedAndTheFirstJobStays) {
  ASSERT_TRUE(Insert(MakeJob("a", "first")).ok());
  const absl::Status refused = Insert(MakeJob("a", "second"), {"r", "payload"});
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("accepted: an unused id"));
  ExpectJob(calls_->Get("a"), *MakeJob("a", "first"));
  // The refused request left nothing behind.
  ExpectNoJob(calls_->FindRequest({"r", "payload"}));
  EXPECT_TRUE(Insert(MakeJob("b"), {"r", "payload"}).ok());
}

TEST_P(JobStoreTest, AnUpdateOfAJobThatIsNotThereIsNotFoundAndChangesNoOtherOfItsName) {
  EXPECT_EQ(calls_->Update(MakeJob("a")).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Insert(MakeJob("a", "first")).ok());
  ASSERT_TRUE(calls_->Remove("a").ok());
  ASSERT_TRUE(Insert(MakeJob("a", "second")).ok());
  EXPECT_EQ(calls_->Update(MakeEndedJob("a", 5, "first")).code(), absl::StatusCode::kNotFound);
  ExpectJob(calls_->Get("a"), *MakeJob("a", "second"));
}

TEST_P(JobStoreTest, ARemovedJobLeavesATombstoneForThirtyDays) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  ASSERT_TRUE(calls_->Remove("a").ok());
  EXPECT_EQ(calls_->Get("a").status(), absl::NotFoundError("expired"));
  clock_.Advance(absl::Hours(24 * 30) - absl::Seconds(1));
  EXPECT_EQ(calls_->Get("a").status(), absl::NotFoundError("expired"));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(calls_->Get("a").status(), absl::NotFoundError("unknown"));
  EXPECT_EQ(calls_->Get("never").status(), absl::NotFoundError("unknown"));
}

TEST_P(JobStoreTest, AnInsertDoesNotForgetALivingTombstone) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  ASSERT_TRUE(calls_->Remove("a").ok());
  clock_.Advance(absl::Hours(24 * 29));
  ASSERT_TRUE(Insert(MakeJob("b")).ok());
  EXPECT_EQ(calls_->Get("a").status(), absl::NotFoundError("expired"));
  clock_.Advance(absl::Hours(24));
  ASSERT_TRUE(Insert(MakeJob("c")).ok());
  EXPECT_EQ(calls_->Get("a").status(), absl::NotFoundError("unknown"));
}

TEST_P(JobStoreTest, AJobThatIsNotDamagedIsNotRemovedAsDamaged) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  EXPECT_TRUE(absl::IsNotFound(calls_->RemoveDamaged("a").status()));
  EXPECT_TRUE(calls_->Get("a").ok());
  EXPECT_TRUE(absl::IsNotFound(calls_->RemoveDamaged("never").status()));
  ASSERT_TRUE(calls_->Remove("a").ok());
  EXPECT_TRUE(absl::IsNotFound(calls_->RemoveDamaged("a").status()));
  EXPECT_EQ(calls_->Get("a").status(), absl::NotFoundError("expired"));
}

TEST_P(JobStoreTest, ANameIsFreeAgainAfterARemoval) {
  ASSERT_TRUE(Insert(MakeJob("a", "first")).ok());
  ASSERT_TRUE(calls_->Remove("a").ok());
  EXPECT_EQ(calls_->Remove("a").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Insert(MakeJob("a", "second")).ok());
  ExpectJob(calls_->Get("a"), *MakeJob("a", "second"));
  ASSERT_TRUE(calls_->Remove("a").ok());
  EXPECT_EQ(calls_->Get("a").status(), absl::NotFoundError("expired"));
}

TEST_P(JobStoreTest, ARequestIdAnswersItsJobForTwentyFourHours) {
  ASSERT_TRUE(Insert(MakeJob("a", "first"), {"r", "payload"}).ok());
  const auto updated = MakeJob("a", "first");
  updated->set_state(v1::TrainingJob::STATE_RUNNING);
  ASSERT_TRUE(calls_->Update(updated).ok());
  clock_.Advance(absl::Hours(24) - absl::Seconds(1));
  ExpectJob(calls_->FindRequest({"r", "payload"}), *updated);  // as it is now
  const auto other = calls_->FindRequest({"r", "another payload"});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("which made a"));
  clock_.Advance(absl::Seconds(1));
  ExpectNoJob(calls_->FindRequest({"r", "payload"}));
  ExpectNoJob(calls_->FindRequest({"r", "another payload"}));
  ASSERT_TRUE(Insert(MakeJob("b"), {"r", "another payload"}).ok());
  ExpectJob(calls_->FindRequest({"r", "another payload"}), *MakeJob("b"));
}

TEST_P(JobStoreTest, WithoutARequestIdNothingIsRemembered) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  ASSERT_TRUE(Insert(MakeJob("b")).ok());
  ExpectNoJob(calls_->FindRequest({}));
}

TEST_P(JobStoreTest, TwoInsertsOfOneRequestIdAreNotTwoJobs) {
  ASSERT_TRUE(Insert(MakeJob("a"), {"r", "payload"}).ok());
  const absl::Status refused = Insert(MakeJob("b"), {"r", "payload"});
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("request_id 'r'"));
  EXPECT_EQ(calls_->Get("b").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(JobStoreTest, SixtyFourRacingDuplicatesMakeOneJob) {
  constexpr int kThreads = 64;
  std::latch begin(kThreads);
  std::atomic<int> made = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> clients;
    for (int k = 0; k < kThreads; ++k) {
      clients.emplace_back([&, k] {
        begin.arrive_and_wait();
        const absl::Status status = Insert(MakeJob(absl::StrCat("job", k)), {"r", "payload"});
        made += status.ok() ? 1 : 0;
        refused += absl::IsAlreadyExists(status) ? 1 : 0;
        // Whoever lost finds the job of the one who won.
        const auto found = calls_->FindRequest({"r", "payload"});
        ASSERT_TRUE(found.ok()) << found.status();
        EXPECT_TRUE(*found != nullptr);
      });
    }
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(refused, kThreads - 1);
  EXPECT_EQ(AllNames(50).size(), 1u);
}

// A late retry must neither make a second job nor answer one that somebody else made since.
TEST_P(JobStoreTest, ARequestWhoseJobWasRemovedIsRefusedAlsoIfTheNameIsUsedAgain) {
  ASSERT_TRUE(Insert(MakeJob("a", "first"), {"r", "payload"}).ok());
  ASSERT_TRUE(calls_->Remove("a").ok());
  const auto removed = calls_->FindRequest({"r", "payload"});
  EXPECT_EQ(removed.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(removed.status().message()), HasSubstr("made a, which was deleted"));
  EXPECT_TRUE(absl::IsAlreadyExists(Insert(MakeJob("b"), {"r", "payload"})));
  ASSERT_TRUE(Insert(MakeJob("a", "second")).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(calls_->FindRequest({"r", "payload"}).status()));
  clock_.Advance(absl::Hours(24));
  ExpectNoJob(calls_->FindRequest({"r", "payload"}));
}

TEST_P(JobStoreTest, ListsNewestFirstPageByPage) {
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(Insert(MakeJob(name)).ok());
  }
  for (const int64_t page_size : {1, 2, 4, 5, 6}) {
    EXPECT_THAT(AllNames(page_size), ElementsAre("e", "d", "c", "b", "a")) << page_size;
  }
  ASSERT_TRUE(calls_->Update(MakeJob("a")).ok());  // a change is not a new place
  ASSERT_TRUE(calls_->Remove("c").ok());
  EXPECT_THAT(AllNames(2), ElementsAre("e", "d", "b", "a"));
}

TEST_P(JobStoreTest, AFullPageSaysWhetherThereIsAnother) {
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(Insert(MakeJob(name)).ok());
  }
  EXPECT_EQ(calls_->List({EveryJob, 0, 2})->next_before, 0);
  EXPECT_GT(calls_->List({EveryJob, 0, 1})->next_before, 0);
}

TEST_P(JobStoreTest, AFilterSkipsJobsAndLeavesNoEmptyLastPage) {
  for (const char* name : {"x1", "y1", "x2", "y2", "x3", "y3"}) {
    ASSERT_TRUE(Insert(MakeJob(name)).ok());
  }
  const auto is_x = [](const v1::TrainingJob& job) { return job.name()[0] == 'x'; };
  const auto first = calls_->List({is_x, 0, 2});
  ASSERT_TRUE(first.ok());
  EXPECT_THAT(Names(first->jobs), ElementsAre("x3", "x2"));
  const auto second = calls_->List({is_x, first->next_before, 2});
  ASSERT_TRUE(second.ok());
  EXPECT_THAT(Names(second->jobs), ElementsAre("x1"));
  EXPECT_EQ(second->next_before, 0);
  // Only a "y" is left after x1: no page for it.
  EXPECT_EQ(calls_->List({is_x, 0, 3})->next_before, 0);
}

TEST_P(JobStoreTest, AJobRemovedBetweenTwoPagesIsSimplyNotThere) {
  for (const char* name : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(Insert(MakeJob(name)).ok());
  }
  const auto first = calls_->List({EveryJob, 0, 2});
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(calls_->Remove("b").ok());  // the next one
  EXPECT_THAT(Names(calls_->List({EveryJob, first->next_before, 2})->jobs), ElementsAre("a"));
}

// More jobs than a list reads at once, and a filter that only the oldest passes.
TEST_P(JobStoreTest, ALongListIsReadToItsEnd) {
  constexpr int kJobs = 1'200;
  std::latch stored(kJobs);
  for (int k = 0; k < kJobs; ++k) {
    store_->Insert(MakeJob(absl::StrCat("job", k)), {}, [&stored](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      stored.count_down();
    });
  }
  stored.wait();
  EXPECT_EQ(AllNames(500).size(), static_cast<size_t>(kJobs));
  const auto is_first = [](const v1::TrainingJob& job) { return job.name() == "job0"; };
  const auto page = calls_->List({is_first, 0, 50});
  ASSERT_TRUE(page.ok());
  EXPECT_THAT(Names(page->jobs), ElementsAre("job0"));
  EXPECT_EQ(page->next_before, 0);
}

// Four threads insert while one pages: every walk sees each older job once, in order, and at the
// end all are there.
TEST_P(JobStoreTest, PagingUnderConcurrentInsertsRepeatsAndLosesNothing) {
  constexpr int kThreads = 4;
  constexpr int kJobs = 100;
  for (int k = 0; k < 50; ++k) {
    ASSERT_TRUE(Insert(MakeJob(absl::StrCat("old", k))).ok());
  }
  std::latch begin(kThreads + 1);
  std::vector<std::jthread> writers;
  for (int thread = 0; thread < kThreads; ++thread) {
    writers.emplace_back([this, thread, &begin] {
      begin.arrive_and_wait();
      for (int k = 0; k < kJobs; ++k) {
        EXPECT_TRUE(Insert(MakeJob(absl::StrCat("new", thread, "-", k))).ok());
      }
    });
  }
  begin.arrive_and_wait();
  for (int walk = 0; walk < 50; ++walk) {
    const std::vector<std::string> names = AllNames(7);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
    ASSERT_GE(names.size(), 50u);
    for (size_t k = 0; k < 50; ++k) {
      EXPECT_EQ(names[names.size() - 1 - k], absl::StrCat("old", k));
    }
  }
  writers.clear();
  EXPECT_EQ(AllNames(1000).size(), 50u + kThreads * kJobs);
}

TEST_P(JobStoreTest, ListsEndedJobsThatEndedFirstInFront) {
  ASSERT_TRUE(Insert(MakeJob("running")).ok());
  ASSERT_TRUE(Insert(MakeEndedJob("late", 30)).ok());
  ASSERT_TRUE(Insert(MakeEndedJob("early", 10)).ok());
  ASSERT_TRUE(Insert(MakeJob("middle")).ok());
  ASSERT_TRUE(Insert(MakeEndedJob("early too", 10)).ok());
  ASSERT_TRUE(calls_->Update(MakeEndedJob("middle", 20)).ok());
  EXPECT_THAT(Names(calls_->ListEnded(10)->jobs),
              ElementsAre("early", "early too", "middle", "late"));
  EXPECT_THAT(Names(calls_->ListEnded(1)->jobs), ElementsAre("early"));
  ASSERT_TRUE(calls_->Remove("early").ok());
  EXPECT_THAT(Names(calls_->ListEnded(2)->jobs), ElementsAre("early too", "middle"));
}

TEST_P(JobStoreTest, LoadsWhatHasNotEndedWithTheWishesToCancel) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  ASSERT_TRUE(Insert(MakeEndedJob("ended", 5)).ok());
  ASSERT_TRUE(Insert(MakeJob("b")).ok());
  ASSERT_TRUE(calls_->RequestCancel("b").ok());
  ASSERT_TRUE(Insert(MakeJob("c")).ok());
  ASSERT_TRUE(calls_->Update(MakeEndedJob("c", 6)).ok());
  EXPECT_TRUE(calls_->RequestCancel("c").ok());  // too late, and no error
  EXPECT_EQ(calls_->RequestCancel("never").code(), absl::StatusCode::kNotFound);
  // A change of state keeps the wish.
  const auto running = MakeJob("b");
  running->set_state(v1::TrainingJob::STATE_RUNNING);
  ASSERT_TRUE(calls_->Update(running).ok());
  const auto unfinished = store_->LoadUnfinished();
  ASSERT_TRUE(unfinished.ok()) << unfinished.status();
  ASSERT_EQ(unfinished->size(), 2u);
  ExpectJob((*unfinished)[0].job, *MakeJob("a"));
  EXPECT_FALSE((*unfinished)[0].cancel_requested);
  ExpectJob((*unfinished)[1].job, *running);
  EXPECT_TRUE((*unfinished)[1].cancel_requested);
}

TEST_P(JobStoreTest, LoadsTheUidsOfAllJobs) {
  EXPECT_THAT(*store_->LoadUids(), IsEmpty());
  ASSERT_TRUE(Insert(MakeJob("a", "uid of a")).ok());
  ASSERT_TRUE(Insert(MakeEndedJob("b", 5, "uid of b")).ok());
  ASSERT_TRUE(Insert(MakeJob("c", "uid of c")).ok());
  ASSERT_TRUE(calls_->Remove("a").ok());
  EXPECT_THAT(*store_->LoadUids(), UnorderedElementsAre("uid of b", "uid of c"));
}

TEST_P(JobStoreTest, GivesAllNumbersOfASpecBack) {
  const auto job = MakeJob("a");
  auto& quadratic = *job->mutable_spec()->mutable_quadratic();
  quadratic.mutable_matrix()->set_rows(2);
  quadratic.mutable_matrix()->set_cols(2);
  for (const double value : {2.0, 0.5, 0.5, 1e-300}) {
    quadratic.mutable_matrix()->add_values(value);
  }
  quadratic.add_initial_point(3);
  ASSERT_TRUE(Insert(job, {"r", "payload"}).ok());
  ExpectJob(calls_->Get("a"), *job);
  ExpectJob(calls_->FindRequest({"r", "payload"}), *job);
  job->mutable_end_time()->set_seconds(7);
  ASSERT_TRUE(calls_->Update(std::make_shared<v1::TrainingJob>(*job)).ok());
  ExpectJob(calls_->Get("a"), *job);
}

// The order in which changes were asked for is the order in which they are made and answered.
TEST_P(JobStoreTest, KnowsWhichJobsNameADataSet) {
  const auto insert = [this](const std::string& name, const std::string& dataset) {
    const auto job = MakeJob(name);
    job->mutable_spec()->mutable_relu_network()->mutable_dataset()->set_name(dataset);
    ASSERT_TRUE(calls_->Insert(job).ok());
  };
  insert("b", "datasets/1");
  insert("a", "datasets/1");
  insert("c", "datasets/2");
  const auto use = calls_->FindDatasetUse("datasets/1");
  ASSERT_TRUE(use.ok()) << use.status();
  EXPECT_EQ(use->jobs, 2);
  EXPECT_EQ(use->one, "a");
  EXPECT_EQ(calls_->FindDatasetUse("datasets/3")->jobs, 0);
  EXPECT_EQ(calls_->FindDatasetUse("datasets/3")->one, "");
  ASSERT_TRUE(calls_->Remove("a").ok());
  EXPECT_EQ(calls_->FindDatasetUse("datasets/1")->one, "b");
  ASSERT_TRUE(calls_->Remove("b").ok());
  EXPECT_EQ(calls_->FindDatasetUse("datasets/1")->jobs, 0);
}

TEST_P(JobStoreTest, AnswersChangesInTheirOrder) {
  constexpr int kChanges = 300;
  base::Mutex mutex;
  std::vector<int> order;
  std::latch answered(kChanges);
  for (int k = 0; k < kChanges; ++k) {
    const auto done = [&, k](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << k << ": " << status;
      const base::MutexLock lock(&mutex);
      order.push_back(k);
      answered.count_down();
    };
    // Each name is used again and again: any other order would be an error.
    const std::string name = absl::StrCat("job", k / 3 % 5);
    const std::string uid = absl::StrCat("uid", k / 3);
    if (k % 3 == 0) {
      store_->Insert(MakeJob(name, uid), {}, done);
    } else if (k % 3 == 1) {
      store_->Update(MakeEndedJob(name, 5, uid), done);
    } else {
      store_->Remove(name, uid, done);
    }
  }
  answered.wait();
  EXPECT_EQ(order.size(), static_cast<size_t>(kChanges));
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(JobStoreTest, AnAnswerMayCallTheStoreAndSeesWhatItAnswers) {
  const auto state = Await<absl::StatusOr<JobSnapshot>>([&](const auto& done) {
    store_->Insert(MakeJob("a"), {}, [this, done](const absl::Status& inserted) {
      EXPECT_TRUE(inserted.ok());
      store_->Update(MakeEndedJob("a", 5), [this, done](const absl::Status& updated) {
        EXPECT_TRUE(updated.ok());
        store_->Get("a", done);
      });
    });
  });
  ExpectJob(state, *MakeEndedJob("a", 5));
}

}  // namespace
}  // namespace polyak::storage
