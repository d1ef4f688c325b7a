#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/server/jobs/jobs_fixture.h"

namespace polyak::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Has room again when enough runs were removed.
class SmallRunStore : public storage::MemoryRunStore {
 public:
  SmallRunStore() : storage::MemoryRunStore(engine::kTraceColumns) {}
  bool nearly_full() const override { return too_many > 0; }
  absl::Status CheckRoom() const override {
    return full ? absl::ResourceExhaustedError("no room in the store") : absl::OkStatus();
  }
  absl::Status Remove(const std::string& uid) override {
    if (broken) {
      return absl::UnavailableError("the disk failed");
    }
    too_many -= too_many > 0 ? 1 : 0;
    return storage::MemoryRunStore::Remove(uid);
  }
  std::atomic<int> too_many = 0;
  std::atomic<bool> broken = false;
  std::atomic<bool> full = false;
};

class RetentionTest : public JobsTest {
 protected:
  explicit RetentionTest(absl::Duration retention = absl::InfiniteDuration()) {
    options_.retention = retention;
    options_.on_forget = [this](const v1::TrainingJob& job, const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      const base::MutexLock lock(&mutex_);
      forgotten_.push_back(job.name());
    };
    jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  }
  ~RetentionTest() override {
    // The base class still has one, on stores that outlive it.
    jobs_ = std::make_unique<Jobs>(options_, JobsTest::store_, JobsTest::runs_, JobsTest::clock_);
  }

  void Train(const std::string& id) {
    ASSERT_TRUE(Create(Request(kShort, id)).ok());
    WaitForEnd("trainingJobs/" + id);
  }
  // Looks once a millisecond, as the server does once a second, until so many are gone and no more
  // follow.
  std::vector<std::string> ForgottenAfterRetain(size_t count) {
    for (int look = 0; look < 10'000; ++look) {
      jobs_->Retain();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const base::MutexLock lock(&mutex_);
      if (forgotten_.size() >= count && look > 20) {
        return forgotten_;
      }
    }
    return {};
  }

  testing_support::FakeClock clock_;
  storage::MemoryJobStore store_{clock_};
  SmallRunStore runs_;
  base::Mutex mutex_;
  std::vector<std::string> forgotten_ ABSL_GUARDED_BY(mutex_);
};

// Says of some jobs that their rows are damaged.
class DamagedJobStore : public storage::MemoryJobStore {
 public:
  using storage::MemoryJobStore::MemoryJobStore;
  void Get(const std::string& name, storage::GetDone done) const override {
    name == damaged ? done(absl::DataLossError(name + " is damaged"))
                    : storage::MemoryJobStore::Get(name, std::move(done));
  }
  void RemoveDamaged(const std::string& name, storage::RemoveDamagedDone done) override {
    storage::MemoryJobStore::Remove(name, true_uid, [&](const absl::Status& status) {
      damaged.clear();
      status.ok() ? done(uid) : done(status);
    });
  }
  void Remove(const std::string& name, const std::string& uid, storage::Done done) override {
    name == damaged_on_disk ? done(absl::DataLossError(name + " is damaged"))
                            : storage::MemoryJobStore::Remove(name, uid, std::move(done));
  }
  std::string damaged;
  std::string damaged_on_disk;  // Get knows it from memory
  std::string true_uid;
  std::string uid;  // what can still be read of it
};

class DamagedRowTest : public JobsTest {
 protected:
  DamagedRowTest() { jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_); }
  ~DamagedRowTest() override {
    // The base class still has one, on stores that outlive it.
    jobs_ = std::make_unique<Jobs>(options_, JobsTest::store_, JobsTest::runs_, JobsTest::clock_);
  }
  void Damage(const storage::JobSnapshot& job, const std::string& uid) {
    store_.damaged = job->name();
    store_.true_uid = job->uid();
    store_.uid = uid;
  }

  DamagedJobStore store_{clock_};
};

TEST_F(DamagedRowTest, AJobWhoseRowIsDamagedIsDeletedWithItsFiles) {
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  const auto job = WaitForEnd("trainingJobs/a");
  Damage(job, job->uid());
  EXPECT_TRUE(absl::IsDataLoss(Get("trainingJobs/a").status()));
  EXPECT_TRUE(Delete("trainingJobs/a").ok());
  EXPECT_TRUE(absl::IsNotFound(Get("trainingJobs/a").status()));
  EXPECT_THAT(*runs_.ListUids(), IsEmpty());
}

TEST_F(DamagedRowTest, WhatIsNotAUidNamesNoFilesAndNeitherDoesThatOfAJobThatRuns) {
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  ASSERT_TRUE(Create(Request(kShort, "b")).ok());
  const auto a = WaitForEnd("trainingJobs/a");
  const auto b = WaitForEnd("trainingJobs/b");
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  const auto running = WaitForRows("trainingJobs/running");
  Damage(a, a->uid().substr(1));
  EXPECT_TRUE(Delete("trainingJobs/a").ok());
  Damage(b, running->uid());
  EXPECT_TRUE(Delete("trainingJobs/b").ok());
  EXPECT_THAT(*runs_.ListUids(),
              ::testing::UnorderedElementsAre(a->uid(), b->uid(), running->uid()));
}

TEST_F(DamagedRowTest, WhatIsKnownFromMemoryIsDeletedWithItsFilesWhateverTheRowSays) {
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  const auto job = WaitForEnd("trainingJobs/a");
  Damage(job, "no uid");
  store_.damaged_on_disk = std::exchange(store_.damaged, "");
  ASSERT_TRUE(Get("trainingJobs/a").ok());
  EXPECT_TRUE(Delete("trainingJobs/a").ok());
  EXPECT_TRUE(absl::IsNotFound(Get("trainingJobs/a").status()));
  EXPECT_THAT(*runs_.ListUids(), IsEmpty());
}

TEST_F(DamagedRowTest, AJobThatRunsIsNotDeletedThoughItsRowIsDamaged) {
  ASSERT_TRUE(Create(Request(kEndless, "a")).ok());
  const auto job = WaitForRows("trainingJobs/a");
  Damage(job, job->uid());
  const absl::Status refused = Delete("trainingJobs/a");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string{refused.message()}, ::testing::HasSubstr("has not ended"));
  EXPECT_THAT(*runs_.ListUids(), ElementsAre(job->uid()));
  ASSERT_TRUE(Cancel("trainingJobs/a").ok());
  WaitForEnd("trainingJobs/a");
  EXPECT_TRUE(Delete("trainingJobs/a").ok());
  EXPECT_THAT(*runs_.ListUids(), IsEmpty());
}

class ForAWeek : public RetentionTest {
 protected:
  ForAWeek() : RetentionTest(absl::Hours(24 * 7)) {}
};

TEST_F(ForAWeek, JobsGoWhenTheirTimeIsOver) {
  Train("a");
  Train("b");
  clock_.Advance(absl::Hours(24 * 6));
  EXPECT_THAT(ForgottenAfterRetain(0), IsEmpty());
  Train("c");
  clock_.Advance(absl::Hours(25));
  EXPECT_THAT(ForgottenAfterRetain(2), ElementsAre("trainingJobs/a", "trainingJobs/b"));
  EXPECT_TRUE(Get("trainingJobs/c").ok());
  const absl::Status gone = Get("trainingJobs/a").status();
  EXPECT_EQ(gone.code(), absl::StatusCode::kNotFound);
  // As for a job that was deleted: a tombstone remains.
  EXPECT_THAT(std::string{gone.message()}, ::testing::HasSubstr("deleted"));
}

class ForNoTimeAtAll : public RetentionTest {
 protected:
  ForNoTimeAtAll() : RetentionTest(absl::ZeroDuration()) {}
};

TEST_F(ForNoTimeAtAll, AJobThatRunsIsNotForgottenBeforeItsEnd) {
  ASSERT_TRUE(Create(Request(kEndless, "a")).ok());
  WaitForRows("trainingJobs/a");
  clock_.Advance(absl::Seconds(10));
  EXPECT_THAT(ForgottenAfterRetain(0), IsEmpty());
  EXPECT_TRUE(Cancel("trainingJobs/a").ok());
  WaitForEnd("trainingJobs/a");
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(ForgottenAfterRetain(1), ElementsAre("trainingJobs/a"));
}

TEST_F(RetentionTest, OnAFullDiskTheOnesThatEndedFirstGoUntilThereIsRoom) {
  for (const char* id : {"a", "b", "c", "d"}) {
    Train(id);
  }
  EXPECT_THAT(ForgottenAfterRetain(0), IsEmpty());
  runs_.too_many = 2;
  EXPECT_THAT(ForgottenAfterRetain(2), ElementsAre("trainingJobs/a", "trainingJobs/b"));
  EXPECT_TRUE(Get("trainingJobs/c").ok());
  EXPECT_TRUE(Get("trainingJobs/d").ok());
}

TEST_F(RetentionTest, WhereFilesCanNotBeRemovedNoOtherJobIsGivenUpForTheirRoom) {
  for (const char* id : {"a", "b", "c", "d"}) {
    Train(id);
  }
  runs_.too_many = 2;
  runs_.broken = true;
  EXPECT_THAT(ForgottenAfterRetain(1), ElementsAre("trainingJobs/a"));
  EXPECT_TRUE(Get("trainingJobs/b").ok());
  // The files of the first one go as soon as they can, then the next job.
  runs_.broken = false;
  EXPECT_THAT(ForgottenAfterRetain(2), ElementsAre("trainingJobs/a", "trainingJobs/b"));
  EXPECT_EQ(runs_.too_many, 0);
  EXPECT_TRUE(Get("trainingJobs/c").ok());
}

TEST_F(RetentionTest, WithoutRoomNoJobIsAccepted) {
  runs_.full = true;
  const absl::Status refused = Create(Request(kShort, "a")).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string{refused.message()}, ::testing::HasSubstr("no room in the store"));
  runs_.full = false;
  EXPECT_TRUE(Create(Request(kShort, "a")).ok());
}

}  // namespace
}  // namespace polyak::jobs
