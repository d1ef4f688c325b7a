#include "server/storage/memory_job_store.h"

#include <algorithm>
#include <latch>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"

namespace polyak::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::shared_ptr<v1::TrainingJob> MakeJob(const std::string& name, const std::string& uid = "") {
  auto job = std::make_shared<v1::TrainingJob>();
  job->set_name(name);
  job->set_uid(uid.empty() ? name : uid);
  return job;
}

class MemoryJobStoreTest : public ::testing::Test {
 protected:
  absl::Status Insert(const JobSnapshot& job, const RequestKey& key = {}) {
    absl::Status result = absl::UnknownError("not called");
    store_.Insert(job, key, [&result](const absl::Status& status) { result = status; });
    return result;
  }
  absl::Status Update(const JobSnapshot& job) {
    absl::Status result = absl::UnknownError("not called");
    store_.Update(job, [&result](const absl::Status& status) { result = status; });
    return result;
  }
  absl::Status Remove(const std::string& name) {
    absl::Status result = absl::UnknownError("not called");
    store_.Remove(name, [&result](const absl::Status& status) { result = status; });
    return result;
  }
  std::vector<std::string> Names(const ListResult& page) {
    std::vector<std::string> names;
    for (const JobSnapshot& job : page.jobs) {
      names.push_back(job->name());
    }
    return names;
  }
  // The whole list, page by page.
  std::vector<std::string> AllNames(int64_t page_size) {
    std::vector<std::string> names;
    ListPage page{[](const v1::TrainingJob& /*job*/) { return true; }, 0, page_size};
    do {
      const ListResult result = store_.List(page);
      EXPECT_LE(static_cast<int64_t>(result.jobs.size()), page_size);
      const auto more = Names(result);
      names.insert(names.end(), more.begin(), more.end());
      page.before = result.next_before;
    } while (page.before > 0);
    return names;
  }

  testing_support::FakeClock clock_;
  MemoryJobStore store_{clock_};
};

TEST_F(MemoryJobStoreTest, AnswersTheSnapshotThatWasStoredLast) {
  const auto first = MakeJob("a");
  ASSERT_TRUE(Insert(first).ok());
  EXPECT_EQ(store_.Get("a")->get(), first.get());
  const auto second = MakeJob("a");
  ASSERT_TRUE(Update(second).ok());
  EXPECT_EQ(store_.Get("a")->get(), second.get());
  EXPECT_FALSE(store_.survives_restart());
}

TEST_F(MemoryJobStoreTest, ATakenNameIsRefusedAndTheFirstJobStays) {
  ASSERT_TRUE(Insert(MakeJob("a", "first")).ok());
  const absl::Status refused = Insert(MakeJob("a", "second"), {"r", "payload"});
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("accepted: an unused id"));
  EXPECT_EQ((*store_.Get("a"))->uid(), "first");
  // The refused request left nothing behind.
  EXPECT_EQ(store_.FindRequest({"r", "payload"})->get(), nullptr);
}

TEST_F(MemoryJobStoreTest, ARemovedJobLeavesATombstoneForThirtyDays) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  ASSERT_TRUE(Remove("a").ok());
  EXPECT_EQ(store_.Get("a").status(), absl::NotFoundError("expired"));
  clock_.Advance(absl::Hours(24 * 30) - absl::Seconds(1));
  EXPECT_EQ(store_.Get("a").status(), absl::NotFoundError("expired"));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(store_.Get("a").status(), absl::NotFoundError("unknown"));
  EXPECT_EQ(store_.Get("never").status(), absl::NotFoundError("unknown"));
}

TEST_F(MemoryJobStoreTest, AnInsertDoesNotForgetALivingTombstone) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  ASSERT_TRUE(Remove("a").ok());
  clock_.Advance(absl::Hours(24 * 29));
  ASSERT_TRUE(Insert(MakeJob("b")).ok());
  EXPECT_EQ(store_.Get("a").status(), absl::NotFoundError("expired"));
  clock_.Advance(absl::Hours(24));
  ASSERT_TRUE(Insert(MakeJob("c")).ok());
  EXPECT_EQ(store_.Get("a").status(), absl::NotFoundError("unknown"));
}

TEST_F(MemoryJobStoreTest, ANameIsFreeAgainAfterARemoval) {
  ASSERT_TRUE(Insert(MakeJob("a", "first")).ok());
  ASSERT_TRUE(Remove("a").ok());
  EXPECT_EQ(Remove("a").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Insert(MakeJob("a", "second")).ok());
  EXPECT_EQ((*store_.Get("a"))->uid(), "second");
  ASSERT_TRUE(Remove("a").ok());
  EXPECT_EQ(store_.Get("a").status(), absl::NotFoundError("expired"));
}

TEST_F(MemoryJobStoreTest, ARequestIdAnswersItsJobForTwentyFourHours) {
  ASSERT_TRUE(Insert(MakeJob("a", "first"), {"r", "payload"}).ok());
  const auto updated = MakeJob("a", "first");
  updated->set_state(v1::TrainingJob::STATE_RUNNING);
  ASSERT_TRUE(Update(updated).ok());
  clock_.Advance(absl::Hours(24) - absl::Seconds(1));
  EXPECT_EQ(store_.FindRequest({"r", "payload"})->get(), updated.get());  // as it is now
  const auto other = store_.FindRequest({"r", "another payload"});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("which made a"));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(store_.FindRequest({"r", "payload"})->get(), nullptr);
  EXPECT_EQ(store_.FindRequest({"r", "another payload"})->get(), nullptr);
  EXPECT_TRUE(Insert(MakeJob("b"), {"r", "another payload"}).ok());
}

TEST_F(MemoryJobStoreTest, WithoutARequestIdNothingIsRemembered) {
  ASSERT_TRUE(Insert(MakeJob("a")).ok());
  ASSERT_TRUE(Insert(MakeJob("b")).ok());
  EXPECT_EQ(store_.FindRequest({})->get(), nullptr);
}

TEST_F(MemoryJobStoreTest, TwoInsertsOfOneRequestIdAreNotTwoJobs) {
  ASSERT_TRUE(Insert(MakeJob("a"), {"r", "payload"}).ok());
  EXPECT_EQ(Insert(MakeJob("b"), {"r", "payload"}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(store_.Get("b").status().code(), absl::StatusCode::kNotFound);
}

// A late retry must neither make a second job nor answer one that somebody else made since.
TEST_F(MemoryJobStoreTest, ARequestWhoseJobWasRemovedIsRefusedAlsoIfTheNameIsUsedAgain) {
  ASSERT_TRUE(Insert(MakeJob("a", "first"), {"r", "payload"}).ok());
  ASSERT_TRUE(Remove("a").ok());
  const auto removed = store_.FindRequest({"r", "payload"});
  EXPECT_EQ(removed.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(removed.status().message()), HasSubstr("made a, which was deleted"));
  ASSERT_TRUE(Insert(MakeJob("a", "second")).ok());
  EXPECT_EQ(store_.FindRequest({"r", "payload"}).status().code(), absl::StatusCode::kAlreadyExists);
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(store_.FindRequest({"r", "payload"})->get(), nullptr);
}

TEST_F(MemoryJobStoreTest, ListsNewestFirstPageByPage) {
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(Insert(MakeJob(name)).ok());
  }
  for (const int64_t page_size : {1, 2, 4, 5, 6}) {
    EXPECT_THAT(AllNames(page_size), ElementsAre("e", "d", "c", "b", "a")) << page_size;
  }
  ASSERT_TRUE(Update(MakeJob("a")).ok());  // a change is not a new place
  ASSERT_TRUE(Remove("c").ok());
  EXPECT_THAT(AllNames(2), ElementsAre("e", "d", "b", "a"));
}

TEST_F(MemoryJobStoreTest, AFullPageSaysWhetherThereIsAnother) {
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(Insert(MakeJob(name)).ok());
  }
  const auto all = [](const v1::TrainingJob& /*job*/) { return true; };
  EXPECT_EQ(store_.List({all, 0, 2}).next_before, 0);
  EXPECT_GT(store_.List({all, 0, 1}).next_before, 0);
}

TEST_F(MemoryJobStoreTest, AFilterSkipsJobsAndLeavesNoEmptyLastPage) {
  for (const char* name : {"x1", "y1", "x2", "y2", "x3", "y3"}) {
    ASSERT_TRUE(Insert(MakeJob(name)).ok());
  }
  const auto is_x = [](const v1::TrainingJob& job) { return job.name()[0] == 'x'; };
  const ListResult first = store_.List({is_x, 0, 2});
  EXPECT_THAT(Names(first), ElementsAre("x3", "x2"));
  const ListResult second = store_.List({is_x, first.next_before, 2});
  EXPECT_THAT(Names(second), ElementsAre("x1"));
  EXPECT_EQ(second.next_before, 0);
  // Only a "y" is left after x1: no page for it.
  EXPECT_EQ(store_.List({is_x, 0, 3}).next_before, 0);
}

TEST_F(MemoryJobStoreTest, AJobRemovedBetweenTwoPagesIsSimplyNotThere) {
  for (const char* name : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(Insert(MakeJob(name)).ok());
  }
  const auto all = [](const v1::TrainingJob& /*job*/) { return true; };
  const ListResult first = store_.List({all, 0, 2});
  ASSERT_TRUE(Remove("b").ok());  // the next one
  EXPECT_THAT(Names(store_.List({all, first.next_before, 2})), ElementsAre("a"));
}

// Four threads insert while one pages: every walk sees each older job once, in order, and at the
// end all are there.
TEST_F(MemoryJobStoreTest, PagingUnderConcurrentInsertsRepeatsAndLosesNothing) {
  constexpr int kThreads = 4;
  constexpr int kJobs = 200;
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

}  // namespace
}  // namespace polyak::storage
