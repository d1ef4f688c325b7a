// What a server does with the jobs that an earlier one left.

#include "gmock/gmock.h"
#include "server/runner/prepare.h"
#include "server/spec/parse_training_job.h"
#include "tests/unit/server/jobs/jobs_fixture.h"

namespace polyak::jobs {
namespace {

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
  EXPECT_EQ(WaitForEnd("trainingJobs/a")->state(), v1::TrainingJob::STATE_CANCELLED);
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

TEST_F(RecoverTest, RecordsOfJobsThatAreNoMoreAreRemoved) {
  v1::TrainingJob gone;
  gone.set_uid("gone");
  ASSERT_TRUE(runs_.OpenTrace(gone).ok());
  Recover(0);
  EXPECT_THAT(*runs_.ListUids(), IsEmpty());
}

TEST_F(RecoverTest, ARecoveredJobCountsInTheMemoryBudget) {
  Store("a", v1::TrainingJob::STATE_RUNNING, kEndless);
  options_.limits.memory_bytes = 300e6;  // the endless job's records alone take 240 MB
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  Recover(1);
  EXPECT_EQ(Create(Request(kEndless)).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Cancel("trainingJobs/a").ok());
}

}  // namespace
}  // namespace polyak::jobs
