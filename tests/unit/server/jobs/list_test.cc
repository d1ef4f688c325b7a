#include "gmock/gmock.h"
#include "tests/unit/server/jobs/jobs_fixture.h"

namespace polyak::jobs {
namespace {

TEST_F(JobsTest, APageTokenOfAnotherListIsRefused) {
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(Create(Request(kShort, id)).ok());
  }
  v1::ListTrainingJobsRequest request;
  request.set_page_size(1);
  const auto first = jobs_->List(request);
  ASSERT_TRUE(first.ok());
  ASSERT_NE(first->next_page_token(), "");
  request.set_page_token(first->next_page_token());
  EXPECT_EQ(jobs_->List(request)->training_jobs(0).name(), "trainingJobs/b");
  request.set_filter("state = \"FAILED\"");
  EXPECT_EQ(jobs_->List(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_page_token("7");
  EXPECT_EQ(jobs_->List(request).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace polyak::jobs
