// What a server does with the jobs that an earlier one left.

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "server/jobs/group.h"
#include "server/runner/prepare.h"
#include "server/spec/named_datasets.h"
#include "server/spec/parse_training_job.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/server/jobs/jobs_fixture.h"

namespace polyak::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RecoverTest : public JobsTest {
 protected:
  // A job as an earlier server stored it.
  void Store(const std::string& id, v1::TrainingJob::State state,
             const std::string& spec = kShort) {
    auto form = std::make_shared<v1::TrainingJob>();
    form->set_name("trainingJobs/" + id);
    form->set_uid(id + "-uid");
    *form->mutable_spec() = Spec(spec);
    form->set_state(state);
    spec::Violations violations;
    if (const auto parsed = spec::ParseTrainingJobSpec(form->spec(), {}, violations)) {
      *form->mutable_resolution() = runner::Prepare(*parsed, violations)->resolution;
    }
    store_.Insert(form, {}, [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  }
  void Recover(int64_t expected) {
    const auto count = jobs_->Recover();
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_EQ(*count, expected);
  }
};

TEST_F(RecoverTest, UnfinishedJobsGoOnAndWhatWasRunningGoesFirst) {
  Store("queued", v1::TrainingJob::STATE_QUEUED);
  Store("running", v1::TrainingJob::STATE_RUNNING);
  Recover(2);
  const auto first = WaitForEnd("trainingJobs/running");
  const auto second = WaitForEnd("trainingJobs/queued");
  EXPECT_EQ(first->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(second->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(second->summary().iterations(), 50);
  EXPECT_LE(first->end_time().seconds() * 1'000'000'000 + first->end_time().nanos(),
            second->start_time().seconds() * 1'000'000'000 + second->start_time().nanos());
}

TEST_F(RecoverTest, AWishToCancelIsStillAWish) {
  Store("a", v1::TrainingJob::STATE_RUNNING, kEndless);
  store_.RequestCancel("trainingJobs/a",
                       [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  Recover(1);
  const auto ended = WaitForEnd("trainingJobs/a");
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_CANCELLED);
  // That no records could be opened yet does not mean that there are none: it was looked.
  EXPECT_TRUE(ended->has_summary());
}

TEST_F(RecoverTest, AJobSaysWhoComputedItAndFromWhichIteration) {
  options_.build = "polyak 2";
  options_.processor = "new";
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  for (const std::string id : {"other-build", "same-build"}) {
    auto form = std::make_shared<v1::TrainingJob>();
    form->set_name("trainingJobs/" + id);
    form->set_uid(id);
    *form->mutable_spec() = Spec(kShort);
    form->set_state(v1::TrainingJob::STATE_RUNNING);
    spec::Violations violations;
    *form->mutable_resolution() =
        runner::Prepare(*spec::ParseTrainingJobSpec(form->spec(), {}, violations), violations)
            ->resolution;
    v1::Computation& first = *form->add_computations();
    first.set_build(id == "same-build" ? "polyak 2" : "polyak 1");
    first.set_processor("new");
    store_.Insert(form, {}, [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  }
  Recover(2);
  const auto other = WaitForEnd("trainingJobs/other-build");
  ASSERT_EQ(other->computations_size(), 2);
  EXPECT_EQ(other->computations(0).build(), "polyak 1");
  EXPECT_EQ(other->computations(1).build(), "polyak 2");
  EXPECT_EQ(other->computations(1).first_iteration(), 0);  // nothing was stored
  EXPECT_EQ(WaitForEnd("trainingJobs/same-build")->computations_size(), 1);
  ASSERT_TRUE(Create(Request(kShort, "fresh")).ok());
  const auto fresh = WaitForEnd("trainingJobs/fresh");
  ASSERT_EQ(fresh->computations_size(), 1);
  EXPECT_EQ(fresh->computations(0).processor(), "new");
}

TEST_F(RecoverTest, AJobThatThisServerDoesNotAcceptFailsAndSaysWhy) {
  Store("a", v1::TrainingJob::STATE_QUEUED,
        "quadratic { spectrum { generated { dimension: 3 condition_number: 0.5 } } } "
        "optimizer { polyak_momentum {} }");
  Recover(1);
  const auto ended = WaitForEnd("trainingJobs/a");
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_FAILED);
  EXPECT_THAT(ended->error().message(), HasSubstr("condition_number"));
}

TEST_F(RecoverTest, RecordsOfJobsThatAreNotKnownAreSetAside) {
  std::vector<std::string> told;
  options_.on_set_aside = [&told](const std::string& uid, const absl::Status& status) {
    told.push_back(uid + " " + status.ToString());
  };
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  v1::TrainingJob gone;
  gone.set_uid("gone");
  ASSERT_TRUE(runs_.OpenTrace(gone).ok());
  Recover(0);
  EXPECT_THAT(*runs_.ListUids(), IsEmpty());
  EXPECT_THAT(told, ElementsAre("gone OK"));
}

TEST_F(RecoverTest, AnEndedJobWhoseRecordsAreMissingIsDamagedNotEmpty) {
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  const auto ended = WaitForEnd("trainingJobs/a");
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);  // nobody reads it any more
  ASSERT_TRUE(runs_.Remove(ended->uid()).ok());
  EXPECT_EQ(Find("trainingJobs/a").status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(RecoverTest, ARecoveredJobCountsInTheMemoryBudget) {
  Store("a", v1::TrainingJob::STATE_RUNNING, kEndless);
  options_.limits.memory_bytes = 300e6;  // the endless job's records alone take 240 MB
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  Recover(1);
  EXPECT_EQ(Create(Request(kEndless)).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Cancel("trainingJobs/a").ok());
}

// Refuses the next ends of jobs, or the next traces, as a full disk does.
class FullJobStore : public storage::MemoryJobStore {
 public:
  using storage::MemoryJobStore::MemoryJobStore;
  void Update(storage::JobSnapshot job, storage::Done done) override {
    if (job->has_end_time() && refusals > 0) {
      --refusals;
      on_refusal();
      return done(absl::ResourceExhaustedError("no space for the end"));
    }
    storage::MemoryJobStore::Update(std::move(job), std::move(done));
  }
  std::atomic<int> refusals = 0;
  std::function<void()> on_refusal = [] {};
};

class FullRunStore : public storage::MemoryRunStore {
 public:
  FullRunStore() : storage::MemoryRunStore(engine::kTraceColumns) {}
  absl::StatusOr<std::shared_ptr<storage::Trace>> OpenTrace(const v1::TrainingJob& job) override {
    if (taken_over-- > 0) {
      return absl::AbortedError("another attempt at this run has begun since");
    }
    if (refusals > 0) {
      --refusals;
      return absl::ResourceExhaustedError("no space for the trace");
    }
    return storage::MemoryRunStore::OpenTrace(job);
  }
  std::atomic<int> refusals = 0;
  std::atomic<int> taken_over = 0;
};

class FullDiskTest : public JobsTest {
 protected:
  FullDiskTest() { jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_); }
  ~FullDiskTest() override {
    // The base class still has one, on stores that outlive it.
    jobs_ = std::make_unique<Jobs>(options_, JobsTest::store_, JobsTest::runs_, JobsTest::clock_);
  }

  testing_support::FakeClock clock_;  // nobody sleeps
  FullJobStore store_{clock_};
  FullRunStore runs_;
};

TEST_F(FullDiskTest, AnEndThatCanNotBeStoredWaitsForRoom) {
  store_.refusals = 3;
  std::vector<std::string> reasons;
  store_.on_refusal = [&] { reasons.push_back((*Get("trainingJobs/a"))->pause_reason()); };
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  const auto ended = WaitForEnd("trainingJobs/a");
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(ended->pause_reason(), "");
  EXPECT_EQ(store_.refusals, 0);
  // From the second time on the job says why it stands still.
  EXPECT_THAT(reasons, ElementsAre("", "no space for the end", "no space for the end"));
}

TEST_F(FullDiskTest, ATraceThatCanNotBeMadeWaitsForRoom) {
  runs_.refusals = 3;
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  EXPECT_EQ(WaitForEnd("trainingJobs/a")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(runs_.refusals, 0);
}

TEST_F(FullDiskTest, AJobWhoseRunAnotherAttemptHasIsNotEndedByThisOne) {
  runs_.taken_over = 1;
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  ASSERT_TRUE(Create(Request(kShort, "b")).ok());
  EXPECT_EQ(WaitForEnd("trainingJobs/b")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  const auto job = *Get("trainingJobs/a");
  EXPECT_EQ(job->state(), v1::TrainingJob::STATE_RUNNING);
  EXPECT_FALSE(job->has_end_time());
}

TEST_F(FullDiskTest, AWaitingJobWhoseCancelCanNotBeStoredIsNotCancelledAndNotLost) {
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  WaitForRows("trainingJobs/running");
  ASSERT_TRUE(Create(Request(kShort, "first")).ok());
  ASSERT_TRUE(Create(Request(kShort, "second")).ok());
  store_.refusals = 1;
  EXPECT_EQ(Cancel("trainingJobs/first").status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ((*Get("trainingJobs/first"))->state(), v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ((*Get("trainingJobs/second"))->jobs_ahead(), 1);
  ASSERT_TRUE(Cancel("trainingJobs/running").ok());
  EXPECT_EQ(WaitForEnd("trainingJobs/first")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(WaitForEnd("trainingJobs/second")->state(), v1::TrainingJob::STATE_SUCCEEDED);
}

// One data set, whose numbers can't be read so often.
class UnreadableDatasets : public spec::NamedDatasets {
 public:
  std::optional<engine::StoredDataSpec> Find(const std::string& /*name*/) const override {
    engine::StoredDataSpec spec;
    spec.examples = 2;
    spec.input_dimension = 1;
    spec.output_dimension = 1;
    spec.load = [this](int64_t count) -> absl::StatusOr<engine::Dataset> {
      ++reads;
      if (failures > 0) {
        --failures;
        return error;
      }
      engine::Dataset data;
      data.features.setOnes(count, 1);
      data.targets.setOnes(count, 1);
      return data;
    };
    return spec;
  }
  mutable std::atomic<int64_t> reads = 0;
  mutable std::atomic<int64_t> failures = std::numeric_limits<int64_t>::max();
  absl::Status error = absl::UnavailableError("too many open files");
};

class UnreadableDataTest : public JobsTest {
 protected:
  UnreadableDataTest() {
    options_.limits.datasets = &datasets_;
    jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  }
  ~UnreadableDataTest() override {
    options_.limits.datasets = nullptr;
    jobs_ = std::make_unique<Jobs>(options_, store_, runs_, JobsTest::clock_);
  }
  // A job as an earlier server left it.
  void Store(const std::string& id, v1::TrainingJob::State state) {
    auto form = std::make_shared<v1::TrainingJob>();
    form->set_name("trainingJobs/" + id);
    form->set_uid(id + "-uid");
    *form->mutable_spec() = Spec(R"pb(
      quadratic {
        least_squares {
          dataset { name: 'datasets/d' }
          ridge: 1
        }
      }
      optimizer { gradient_descent { step_size: 0.1 } }
      plan: EXECUTION_PLAN_DENSE
      stopping { max_iterations: 20 })pb");
    form->mutable_resolution()->set_plan(v1::EXECUTION_PLAN_DENSE);
    EXPECT_NE(GroupKey(*form), "");
    form->set_state(state);
    store_.Insert(form, {}, [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  }
  void Recover(v1::TrainingJob::State state) {
    Store("a", state);
    EXPECT_EQ(jobs_->Recover().value(), 1);
  }

  testing_support::FakeClock clock_;  // nobody sleeps
  UnreadableDatasets datasets_;
};

constexpr auto kUnfinishedStates = {v1::TrainingJob::STATE_QUEUED, v1::TrainingJob::STATE_RUNNING};

TEST_F(UnreadableDataTest, TheJobRunsWhenItsDataCanBeReadAgain) {
  datasets_.failures = 20;
  Recover(v1::TrainingJob::STATE_QUEUED);
  const auto ended = WaitForEnd("trainingJobs/a");
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED) << ended->DebugString();
  EXPECT_EQ(ended->summary().iterations(), 20);
  EXPECT_EQ(ended->computations_size(), 1);
  EXPECT_EQ(datasets_.reads, 21);
  EXPECT_GE(clock_.MonotonicSeconds(), 1020) << "tried again without a pause";
}

// They are of the same data, so the one worker takes them at once: whoever has its data runs.
TEST_F(UnreadableDataTest, OfJobsInStepThoseAreTriedAgainWhoseDataCouldNotBeRead) {
  datasets_.failures = 4;
  for (const std::string id : {"a", "b", "c"}) {
    Store(id, v1::TrainingJob::STATE_QUEUED);
  }
  EXPECT_EQ(jobs_->Recover().value(), 3);
  for (const std::string id : {"a", "b", "c"}) {
    const auto ended = WaitForEnd("trainingJobs/" + id);
    EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED) << ended->DebugString();
    EXPECT_EQ(ended->summary().iterations(), 20);
    EXPECT_EQ(ended->pause_reason(), "");
  }
  EXPECT_EQ(datasets_.reads, 7);  // none is read again by who has them
  EXPECT_EQ(RecordsOf("c"), RecordsOf("a"));
}

// There is one worker.
TEST_F(UnreadableDataTest, OtherJobsRunMeanwhileAndTheJobSaysWhyItDoesNot) {
  for (const auto state : kUnfinishedStates) {
    Recover(state);
    ASSERT_TRUE(Create(Request(kShort, "other")).ok());
    EXPECT_EQ(WaitForEnd("trainingJobs/other")->state(), v1::TrainingJob::STATE_SUCCEEDED);
    const auto waiting = Get("trainingJobs/a");
    ASSERT_TRUE(waiting.ok()) << waiting.status();
    EXPECT_EQ((*waiting)->state(), state);
    EXPECT_EQ((*waiting)->pause_reason(), "too many open files");
    EXPECT_FALSE((*waiting)->has_error());
    ASSERT_TRUE(Cancel("trainingJobs/a").ok());
    EXPECT_EQ(WaitForEnd("trainingJobs/a")->state(), v1::TrainingJob::STATE_CANCELLED);
    ASSERT_TRUE(Delete("trainingJobs/a").ok());
    ASSERT_TRUE(Delete("trainingJobs/other").ok());
  }
}

TEST_F(UnreadableDataTest, AServerThatStopsMeanwhileLeavesTheJobToTheNextOne) {
  for (const auto state : kUnfinishedStates) {
    Recover(state);
    ASSERT_TRUE(Create(Request(kShort, "other")).ok());
    (void)WaitForEnd("trainingJobs/other");  // so that its turn has come at least once
    jobs_.reset();
    const auto unfinished = store_.LoadUnfinished();
    ASSERT_EQ(unfinished->size(), 1u);
    EXPECT_EQ(unfinished->front().job->state(), state);
    jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
    EXPECT_TRUE(Delete("trainingJobs/other").ok());
    store_.Remove("trainingJobs/a", "a-uid", [](const absl::Status& /*status*/) {});
  }
}

TEST_F(UnreadableDataTest, DataThatAreDamagedFailTheJob) {
  datasets_.error = absl::DataLossError("the values of datasets/d are damaged");
  Recover(v1::TrainingJob::STATE_QUEUED);
  const auto ended = WaitForEnd("trainingJobs/a");
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_FAILED);
  EXPECT_EQ(ended->error().code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_EQ(datasets_.reads, 1);
}

}  // namespace
}  // namespace polyak::jobs
