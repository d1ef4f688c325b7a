#include "server/storage/job_store_rules.h"

#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

TEST(EndMicros, IsZeroExactlyForAJobWithoutAnEnd) {
  v1::TrainingJob job;
  EXPECT_EQ(EndMicros(job), 0);
  job.mutable_end_time()->set_seconds(0);  // a clock that stood at the epoch, or before it
  EXPECT_EQ(EndMicros(job), 1);
  job.mutable_end_time()->set_seconds(-5);
  EXPECT_EQ(EndMicros(job), 1);
  job.mutable_end_time()->set_seconds(2);
  job.mutable_end_time()->set_nanos(3'000);
  EXPECT_EQ(EndMicros(job), 2'000'003);
}

TEST(JobStoreErrors, SayWhichOfTheTwoIsTaken) {
  EXPECT_EQ(NameTaken("trainingJobs/a"),
            absl::AlreadyExistsError("the id of trainingJobs/a is taken; accepted: an unused id"));
  EXPECT_EQ(RequestIdTaken("r"),
            absl::AlreadyExistsError("request_id 'r' was used at the same moment"));
  EXPECT_EQ(NoJob(true), absl::NotFoundError("expired"));
  EXPECT_EQ(NoJob(false), absl::NotFoundError("unknown"));
}

}  // namespace
}  // namespace polyak::storage
