#include "gmock/gmock.h"
#include "tests/unit/server/jobs/jobs_fixture.h"

namespace polyak::jobs {
namespace {

using ::testing::HasSubstr;

TEST_F(JobsTest, AJobGoesFromQueuedToSucceeded) {
  const auto job = Create(Request(kShort, "a"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ((*job)->name(), "trainingJobs/a");
  EXPECT_EQ((*job)->state(), v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ((*job)->uid().size(), 36u);
  const auto ended = WaitForEnd("trainingJobs/a");
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(ended->summary().iterations(), 50);
  EXPECT_EQ((*Find("trainingJobs/a"))->reader()->row_count(), 51);
  EXPECT_TRUE(ended->has_start_time());
}

TEST_F(JobsTest, QueuedJobsKnowHowManyAreAheadAndCanBeCancelled) {
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  WaitForRows("trainingJobs/running");
  ASSERT_TRUE(Create(Request(kShort, "first")).ok());
  ASSERT_TRUE(Create(Request(kShort, "second")).ok());
  EXPECT_EQ((*Get("trainingJobs/first"))->jobs_ahead(), 0);
  EXPECT_EQ((*Get("trainingJobs/second"))->jobs_ahead(), 1);
  const auto cancelled = Cancel("trainingJobs/first");
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ((*cancelled)->state(), v1::TrainingJob::STATE_CANCELLED);
  EXPECT_EQ((*Get("trainingJobs/second"))->jobs_ahead(), 0);
  ASSERT_TRUE(Cancel("trainingJobs/running").ok());
  EXPECT_EQ(WaitForEnd("trainingJobs/running")->state(), v1::TrainingJob::STATE_CANCELLED);
  EXPECT_EQ(WaitForEnd("trainingJobs/second")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  // Cancel of an ended job answers it unchanged.
  EXPECT_EQ((*Cancel("trainingJobs/second"))->state(), v1::TrainingJob::STATE_SUCCEEDED);
}

TEST_F(JobsTest, ADeletedJobHasExpiredAndItsIdIsFree) {
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  WaitForEnd("trainingJobs/a");
  ASSERT_TRUE(Delete("trainingJobs/a").ok());
  EXPECT_THAT(std::string(Get("trainingJobs/a").status().message()), HasSubstr("was deleted"));
  EXPECT_EQ(Delete("trainingJobs/a").code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Create(Request(kShort, "a")).ok());
}

TEST_F(JobsTest, ADrainLeavesRunningJobsAsTheyAreAndRefusesNewOnes) {
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  WaitForRows("trainingJobs/running");
  jobs_->Drain();
  EXPECT_EQ(Create(Request(kShort)).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(jobs_->CheckHealth());
  const std::shared_ptr<Job> job = *Find("trainingJobs/running");
  jobs_.reset();  // joins the workers
  EXPECT_EQ(job->snapshot()->state(), v1::TrainingJob::STATE_RUNNING);
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
}

TEST_F(JobsTest, HealthNeedsEveryWorkerToPassItsCanary) {
  // Workers take tasks in order: once a job has ended, the canary before it has.
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  WaitForEnd("trainingJobs/a");
  EXPECT_TRUE(jobs_->CheckHealth());
}

}  // namespace
}  // namespace polyak::jobs
