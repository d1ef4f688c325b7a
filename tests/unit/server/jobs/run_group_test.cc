// Which jobs a worker takes at once, and what becomes of them.

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/base/mutex.h"
#include "server/runner/prepare.h"
#include "server/spec/parse_training_job.h"
#include "server/storage/memory_trace.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/server/jobs/jobs_fixture.h"

namespace polyak::jobs {
namespace {

// DENSE, of a matrix with eigenvalues between 0 and 4 `scale`.
v1::CreateTrainingJobRequest OfMatrix(const std::string& id, int size, const std::string& optimizer,
                                      int64_t iterations, double scale = 1) {
  auto request = Request(absl::StrCat("plan: EXECUTION_PLAN_DENSE optimizer { ", optimizer,
                                      " } stopping { max_iterations: ", iterations, " }"),
                         id);
  v1::Matrix& matrix = *request.mutable_spec()->mutable_quadratic()->mutable_matrix();
  matrix.set_rows(size);
  matrix.set_cols(size);
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      matrix.add_values(i == j ? 2.5 * scale : (std::abs(i - j) == 1 ? -scale : 0));
    }
  }
  return request;
}
// Longer than any test: 10 us an iteration, so that the records have room.
v1::CreateTrainingJobRequest Endless(const std::string& id, double step_size) {
  return OfMatrix(id, 300, absl::StrCat("gradient_descent { step_size: ", step_size, " }"),
                  10'000'000);
}

class GroupTest : public JobsTest {
 protected:
  void Restart(int workers) {
    options_.workers = workers;
    options_.limits.memory_bytes = 1e15;
    jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  }
  // Occupies a worker until it is cancelled.
  void Occupy() {
    ASSERT_TRUE(Create(Request(kEndless, "endless")).ok());
    WaitForRows("trainingJobs/endless");
  }
  void Release() { ASSERT_TRUE(Cancel("trainingJobs/endless").ok()); }
  v1::TrainingJob::State StateOf(const std::string& id) {
    return (*Get("trainingJobs/" + id))->state();
  }
  void ExpectRunning(const std::string& id) {
    (void)WaitForRows("trainingJobs/" + id);
    EXPECT_EQ(WaitUntil("trainingJobs/" + id,
                        [](const v1::TrainingJob& job, int64_t /*rows*/) {
                          return job.state() == v1::TrainingJob::STATE_RUNNING;
                        })
                  ->state(),
              v1::TrainingJob::STATE_RUNNING);
  }
  void ExpectCancelled(const std::string& id) {
    ASSERT_TRUE(Cancel("trainingJobs/" + id).ok());
    EXPECT_EQ(WaitForEnd("trainingJobs/" + id)->state(), v1::TrainingJob::STATE_CANCELLED);
  }
};

TEST_F(GroupTest, JobsOfOneMatrixRunAtOnceAndEndOneByOne) {
  Restart(1);
  Occupy();
  ASSERT_TRUE(Create(Endless("a", 0.1)).ok());
  ASSERT_TRUE(Create(Endless("b", 0.2)).ok());
  ASSERT_TRUE(Create(OfMatrix("short", 300, "gradient_descent {}", 500)).ok());
  ASSERT_TRUE(Create(Endless("diverging", 0.7)).ok());
  Release();
  ExpectRunning("a");
  ExpectRunning("b");
  const auto ended = WaitForEnd("trainingJobs/short");  // others go on
  EXPECT_EQ(ended->summary().iterations(), 500);
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(WaitForEnd("trainingJobs/diverging")->termination().reason(),
            v1::Termination::REASON_DIVERGED);
  ExpectCancelled("a");
  EXPECT_EQ(StateOf("b"), v1::TrainingJob::STATE_RUNNING);
  ExpectCancelled("b");
}

TEST_F(GroupTest, NoJobIsOvertaken) {
  Restart(1);
  Occupy();
  ASSERT_TRUE(Create(Endless("a", 0.1)).ok());
  ASSERT_TRUE(Create(Endless("b", 0.2)).ok());
  ASSERT_TRUE(Create(Request(kShort, "other")).ok());
  ASSERT_TRUE(Create(Endless("c", 0.3)).ok());
  EXPECT_EQ((*Get("trainingJobs/c"))->jobs_ahead(), 3);
  Release();
  ExpectRunning("a");
  ExpectRunning("b");
  EXPECT_EQ(StateOf("other"), v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ(StateOf("c"), v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ((*Get("trainingJobs/other"))->jobs_ahead(), 0);
  EXPECT_EQ((*Get("trainingJobs/c"))->jobs_ahead(), 1);
  ExpectCancelled("a");
  EXPECT_EQ(StateOf("other"), v1::TrainingJob::STATE_QUEUED);
  ExpectCancelled("b");
  EXPECT_EQ(WaitForEnd("trainingJobs/other")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  ExpectRunning("c");
  ExpectCancelled("c");
}

TEST_F(GroupTest, OtherMatricesTimeLimitsAndPlansRunByThemselves) {
  Restart(1);
  Occupy();
  ASSERT_TRUE(Create(Endless("a", 0.1)).ok());
  auto limited = OfMatrix("limited", 300, "gradient_descent {}", 30);
  limited.mutable_spec()->mutable_stopping()->mutable_max_duration()->set_seconds(1000);
  ASSERT_TRUE(Create(limited).ok());
  Release();
  ExpectRunning("a");
  EXPECT_EQ(StateOf("limited"), v1::TrainingJob::STATE_QUEUED);
  ASSERT_TRUE(Create(OfMatrix("scaled", 300, "gradient_descent {}", 30, 2)).ok());
  ExpectCancelled("a");
  EXPECT_EQ(WaitForEnd("trainingJobs/limited")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(WaitForEnd("trainingJobs/scaled")->state(), v1::TrainingJob::STATE_SUCCEEDED);
}

// Whichever jobs come together, each has the records that it has when it is the only one.
TEST_F(GroupTest, RecordsAreThoseOfJobsRunOneByOne) {
  const auto request = [](const std::string& kind, int k) {
    const std::string id = absl::StrCat(kind, k);
    const std::string step_size = absl::StrCat("step_size: ", 0.02 * (k + 1));
    return k % 2 == 0 ? OfMatrix(id, 30, absl::StrCat("gradient_descent {", step_size, "}"), 40 * k)
                      : OfMatrix(id, 30,
                                 absl::StrCat("nesterov_momentum {", step_size, " momentum: 0.6 }"),
                                 300 + k);
  };
  constexpr int kJobs = 20;
  Restart(2);
  for (int k = 0; k < kJobs; ++k) {
    ASSERT_TRUE(Create(request("alone-", k)).ok());
    (void)WaitForEnd(absl::StrCat("trainingJobs/alone-", k));
  }
  std::vector<std::future<Answer>> answers;
  for (int k = 0; k < kJobs; ++k) {
    answers.push_back(Submit(request("among-", k)));
  }
  for (int k = 0; k < kJobs; ++k) {
    ASSERT_TRUE(answers[static_cast<size_t>(k)].get().ok());
    const auto among = WaitForEnd(absl::StrCat("trainingJobs/among-", k));
    const auto alone = WaitForEnd(absl::StrCat("trainingJobs/alone-", k));
    EXPECT_EQ(among->termination().reason(), alone->termination().reason());
    EXPECT_TRUE(RecordsOf(absl::StrCat("among-", k)) == RecordsOf(absl::StrCat("alone-", k))) << k;
  }
}

TEST_F(GroupTest, ADrainLeavesAllOfThemRunningForTheNextServer) {
  Restart(1);
  Occupy();
  ASSERT_TRUE(Create(Endless("a", 0.1)).ok());
  ASSERT_TRUE(Create(Endless("b", 0.2)).ok());
  Release();
  ExpectRunning("a");
  ExpectRunning("b");
  jobs_.reset();
  const auto unfinished = store_.LoadUnfinished();
  ASSERT_EQ(unfinished->size(), 2U);
  for (const storage::StoredJob& stored : *unfinished) {
    EXPECT_EQ(stored.job->state(), v1::TrainingJob::STATE_RUNNING);
    ASSERT_TRUE(runs_.Remove(stored.job->uid()).ok());  // no process leaves records in memory
  }
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  EXPECT_EQ(jobs_->Recover().value(), 2);
  ExpectRunning("a");
  ExpectRunning("b");  // with one worker: together again
  ExpectCancelled("b");
  ExpectCancelled("a");
}

// Another one that is busy finds its part when it has ended what it does.
TEST_F(GroupTest, AWorkerLeavesTheOthersTheirShare) {
  Restart(2);
  Occupy();
  ASSERT_TRUE(Create(Request(kEndless, "other")).ok());
  WaitForRows("trainingJobs/other");
  for (const std::string id : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(Create(Endless(id, 0.1)).ok());
  }
  Release();
  ExpectRunning("a");
  ExpectRunning("b");
  EXPECT_EQ(StateOf("c"), v1::TrainingJob::STATE_QUEUED);
  ASSERT_TRUE(Cancel("trainingJobs/other").ok());
  ExpectRunning("c");
  ExpectRunning("d");  // not half of what is left: the other worker has its share
  for (const std::string id : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(Cancel("trainingJobs/" + id).ok());
  }
}

TEST_F(GroupTest, NoMoreRunAtOnceThanTheServerHasFileDescriptorsFor) {
  options_.group_max = 2;
  Restart(1);
  Occupy();
  for (const std::string id : {"a", "b", "c"}) {
    ASSERT_TRUE(Create(Endless(id, 0.1)).ok());
  }
  Release();
  ExpectRunning("a");
  ExpectRunning("b");
  EXPECT_EQ(StateOf("c"), v1::TrainingJob::STATE_QUEUED);
  ExpectCancelled("a");
  EXPECT_EQ(StateOf("c"), v1::TrainingJob::STATE_QUEUED);
  ExpectCancelled("b");
  ExpectRunning("c");
  ExpectCancelled("c");
}

// A disk that has no room for records, or fails, and tells of every trace that a run opens.
class StrangeRunStore : public storage::MemoryRunStore {
 public:
  StrangeRunStore() : storage::MemoryRunStore(engine::kTraceColumns) {}
  absl::StatusOr<std::shared_ptr<storage::Trace>> OpenTrace(const v1::TrainingJob& job) override {
    if (!job.has_end_time()) {
      on_open(job);
    }
    const base::MutexLock lock(&mutex_);
    std::shared_ptr<storage::Trace>& newest = newest_[job.uid()];
    if (newest == nullptr || !job.has_end_time()) {  // else somebody reads its records
      newest = std::make_shared<TraceOnIt>(*this, job.name());
    }
    return newest;
  }
  std::function<void(const v1::TrainingJob&)> on_open = [](const v1::TrainingJob& /*job*/) {};
  // What it answers to records of this job, in whatever trace; only one worker may run.
  std::function<absl::Status(const std::string& name)> on_publish =
      [](const std::string& /*name*/) { return absl::OkStatus(); };
  std::atomic<bool> is_full = false;

 private:
  class TraceOnIt : public storage::MemoryTrace {
   public:
    TraceOnIt(const StrangeRunStore& disk, std::string name)
        : storage::MemoryTrace(engine::kTraceColumns), disk_(disk), name_(std::move(name)) {}
    absl::Status Publish(double elapsed_seconds) override {
      if (disk_.is_full) {
        return absl::ResourceExhaustedError("no space for records");
      }
      const absl::Status answer = disk_.on_publish(name_);
      return answer.ok() ? storage::MemoryTrace::Publish(elapsed_seconds) : answer;
    }

   private:
    const StrangeRunStore& disk_;
    const std::string name_;
  };

  base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<storage::Trace>> newest_ ABSL_GUARDED_BY(mutex_);
};

// Jobs that an earlier server left, which are all in the queue before the first is taken. One
// worker takes them at once.
class LeftGroupTest : public JobsTest {
 protected:
  LeftGroupTest() : LeftGroupTest(0) {}
  explicit LeftGroupTest(double seconds_per_look) : clock_(seconds_per_look) {
    options_.limits.memory_bytes = 1e15;
    jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  }
  ~LeftGroupTest() override {
    // The base class still has one, on stores that outlive it.
    jobs_ = std::make_unique<Jobs>(options_, JobsTest::store_, JobsTest::runs_, JobsTest::clock_);
  }
  void Store(const v1::CreateTrainingJobRequest& request, v1::TrainingJob::State state) {
    auto form = std::make_shared<v1::TrainingJob>();
    form->set_name("trainingJobs/" + request.training_job_id());
    form->set_uid(request.training_job_id() + "-uid");
    *form->mutable_spec() = request.spec();
    form->set_state(state);
    spec::Violations violations;
    const auto parsed = spec::ParseTrainingJobSpec(form->spec(), {}, violations);
    ASSERT_TRUE(parsed.has_value());
    *form->mutable_resolution() = runner::Prepare(*parsed, violations)->resolution;
    store_.Insert(form, {}, [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  }
  void StoreAll(const std::vector<std::string>& ids, int64_t iterations) {
    for (const std::string& id : ids) {
      Store(OfMatrix(id, 30, "gradient_descent { step_size: 0.1 }", iterations),
            v1::TrainingJob::STATE_QUEUED);
    }
  }
  void WaitForPause(const std::string& id) {
    while ((*Get("trainingJobs/" + id))->pause_reason().empty()) {
      std::this_thread::yield();
    }
  }

  testing_support::FakeClock clock_;  // nobody sleeps
  storage::MemoryJobStore store_{clock_};
  StrangeRunStore runs_;
};

TEST_F(LeftGroupTest, AGroupThatWaitsForRoomGoesOnWhenThereIsSome) {
  runs_.is_full = true;
  StoreAll({"a", "b", "c"}, 2000);
  ASSERT_EQ(jobs_->Recover().value(), 3);
  for (const std::string id : {"a", "b", "c"}) {
    WaitForPause(id);
  }
  runs_.is_full = false;
  for (const std::string id : {"a", "b", "c"}) {
    const auto ended = WaitForEnd("trainingJobs/" + id);
    EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
    EXPECT_EQ(ended->summary().iterations(), 2000);
  }
}

TEST_F(LeftGroupTest, AGroupThatWaitsForRoomCanBeCancelledAndDrained) {
  runs_.is_full = true;
  StoreAll({"a", "b", "c"}, 2000);
  ASSERT_EQ(jobs_->Recover().value(), 3);
  for (const std::string id : {"a", "b", "c"}) {
    WaitForPause(id);
  }
  ASSERT_TRUE(Cancel("trainingJobs/b").ok());
  EXPECT_EQ(WaitForEnd("trainingJobs/b")->state(), v1::TrainingJob::STATE_CANCELLED);
  WaitForPause("a");
  WaitForPause("c");
  jobs_.reset();  // returns, and leaves the others to the next server
  const auto unfinished = store_.LoadUnfinished();
  ASSERT_EQ(unfinished->size(), 2U);
  for (const storage::StoredJob& stored : *unfinished) {
    EXPECT_EQ(stored.job->state(), v1::TrainingJob::STATE_RUNNING);
    store_.Remove(stored.job->name(), stored.job->uid(), [](const absl::Status& /*status*/) {});
  }
}

TEST_F(LeftGroupTest, ADrainLetsNobodyBeginAnyMore) {
  StoreAll({"a", "b", "c"}, 2000);
  std::atomic<int> opened = 0;
  runs_.on_open = [&, jobs = jobs_.get()](const v1::TrainingJob& /*job*/) {
    jobs->Drain();
    ++opened;
  };
  ASSERT_EQ(jobs_->Recover().value(), 3);
  while (opened == 0) {
    std::this_thread::yield();
  }
  jobs_.reset();
  EXPECT_EQ(opened, 1);
  const auto unfinished = store_.LoadUnfinished();
  ASSERT_EQ(unfinished->size(), 3U);
  EXPECT_EQ(unfinished->at(1).job->state(), v1::TrainingJob::STATE_QUEUED);
}

TEST_F(LeftGroupTest, WhoIsCancelledBeforeItsTurnDoesNotBegin) {
  StoreAll({"a", "b", "c"}, 2000);
  std::vector<std::string> opened;
  runs_.on_open = [&](const v1::TrainingJob& job) {
    opened.push_back(job.name());
    if (opened.size() == 1) {
      EXPECT_TRUE(Cancel("trainingJobs/b").ok());
    }
  };
  ASSERT_EQ(jobs_->Recover().value(), 3);
  EXPECT_EQ(WaitForEnd("trainingJobs/a")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(WaitForEnd("trainingJobs/c")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  const auto cancelled = WaitForEnd("trainingJobs/b");
  EXPECT_EQ(cancelled->state(), v1::TrainingJob::STATE_CANCELLED);
  EXPECT_FALSE(cancelled->has_start_time());
  EXPECT_EQ(opened, (std::vector<std::string>{"trainingJobs/a", "trainingJobs/c"}));
}

// Answers errors to the records of one job, so many times, from its second slice on.
auto FailingAt(const std::string& job, const absl::Status& error, int times) {
  auto left = std::make_shared<int>(times);
  auto slices = std::make_shared<int>(0);
  return [=](const std::string& name) {
    if (name != job || ++*slices == 1 || *left == 0) {
      return absl::OkStatus();
    }
    --*left;
    return error;
  };
}

TEST_F(LeftGroupTest, OneWhoseDiskFailsForAMomentIsTriedAgainAndTheOthersGoOn) {
  runs_.on_publish = FailingAt("trainingJobs/b", absl::UnavailableError("bad cable"), 2);
  std::vector<std::string> opened;
  runs_.on_open = [&](const v1::TrainingJob& job) { opened.push_back(job.name()); };
  StoreAll({"a", "b", "c"}, 2000);
  ASSERT_EQ(jobs_->Recover().value(), 3);
  for (const std::string id : {"a", "b", "c"}) {
    const auto ended = WaitForEnd("trainingJobs/" + id);
    EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED) << ended->DebugString();
    EXPECT_EQ(ended->summary().iterations(), 2000);
  }
  EXPECT_EQ(std::ranges::count(opened, "trainingJobs/a"), 1);
  EXPECT_GE(std::ranges::count(opened, "trainingJobs/b"), 3);
  EXPECT_EQ(std::ranges::count(opened, "trainingJobs/c"), 1);
  EXPECT_EQ(RecordsOf("b"), RecordsOf("a"));  // of the same spec
}

TEST_F(LeftGroupTest, OneWhoseDiskStaysBrokenFailsAndTheOthersGoOn) {
  runs_.on_publish = FailingAt("trainingJobs/b", absl::UnavailableError("bad cable"), 1000);
  StoreAll({"a", "b", "c"}, 2000);
  ASSERT_EQ(jobs_->Recover().value(), 3);
  const auto failed = WaitForEnd("trainingJobs/b");
  EXPECT_EQ(failed->state(), v1::TrainingJob::STATE_FAILED);
  EXPECT_EQ(failed->error().code(), static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_EQ(failed->error().message(), "bad cable");
  for (const std::string id : {"a", "c"}) {
    const auto ended = WaitForEnd("trainingJobs/" + id);
    EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
    EXPECT_EQ(ended->summary().iterations(), 2000);
  }
}

TEST_F(LeftGroupTest, OneWhoseRunAnotherAttemptHasIsLeftToItAndTheOthersGoOn) {
  runs_.on_publish = FailingAt("trainingJobs/b", absl::AbortedError("another attempt"), 1);
  StoreAll({"a", "b", "c"}, 2000);
  ASSERT_EQ(jobs_->Recover().value(), 3);
  for (const std::string id : {"a", "c"}) {
    const auto ended = WaitForEnd("trainingJobs/" + id);
    EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
    EXPECT_EQ(ended->summary().iterations(), 2000);
  }
  const auto left = *Get("trainingJobs/b");
  EXPECT_EQ(left->state(), v1::TrainingJob::STATE_RUNNING);
  EXPECT_FALSE(left->has_end_time());
}

// Each look at this clock is longer than all preparations of a pass may take.
class SlowlyPreparedTest : public LeftGroupTest {
 protected:
  SlowlyPreparedTest() : LeftGroupTest(1) {}
};

TEST_F(SlowlyPreparedTest, WhoRunsDoesNotWaitUntilAllAreThere) {
  StoreAll({"a", "b", "c", "d"}, 200);
  std::vector<int64_t> records;  // of the first one, when another comes
  runs_.on_open = [&](const v1::TrainingJob& /*job*/) {
    records.push_back((*Find("trainingJobs/a"))->reader()->row_count());
  };
  ASSERT_EQ(jobs_->Recover().value(), 4);
  for (const std::string id : {"a", "b", "c", "d"}) {
    EXPECT_EQ(WaitForEnd("trainingJobs/" + id)->state(), v1::TrainingJob::STATE_SUCCEEDED);
  }
  ASSERT_EQ(records.size(), 4U);
  EXPECT_EQ(records[0], 0);
  for (size_t k = 1; k < records.size(); ++k) {
    EXPECT_GT(records[k], records[k - 1]) << k;
  }
}

// As after a crash, of data of every kind: what ran and what waited goes on in step.
TEST_F(LeftGroupTest, WhatRanWhenAServerCrashedIsTakenTogetherAgain) {
  const auto of_data = [](const std::string& id) {
    return Request(
        "quadratic { least_squares { dataset { name: 'datasets/diabetes' } ridge: 0.1 } } plan: "
        "EXECUTION_PLAN_DENSE optimizer { gradient_descent { step_size: 0.0001 } } stopping { "
        "max_iterations: 1000000000 }",
        id);
  };
  for (const bool with_data : {false, true}) {
    const std::string suffix = with_data ? "-of-data" : "";
    for (const std::string id : {"queued", "a", "b"}) {
      Store(with_data ? of_data(id + suffix) : Endless(id, 0.1),
            id == "queued" ? v1::TrainingJob::STATE_QUEUED : v1::TrainingJob::STATE_RUNNING);
    }
    ASSERT_EQ(jobs_->Recover().value(), 3);
    std::vector<std::string> names;
    for (const std::string id : {"a", "b", "queued"}) {
      names.push_back(absl::StrCat("trainingJobs/", id, suffix));
      (void)WaitForRows(names.back());  // there is one worker
    }
    for (const std::string& name : names) {
      ASSERT_TRUE(Cancel(name).ok());
      EXPECT_EQ(WaitForEnd(name)->state(), v1::TrainingJob::STATE_CANCELLED);
    }
  }
}

}  // namespace
}  // namespace polyak::jobs
