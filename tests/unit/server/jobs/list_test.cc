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
  const auto first = List(request);
  ASSERT_TRUE(first.ok());
  ASSERT_NE(first->next_page_token(), "");
  request.set_page_token(first->next_page_token());
  EXPECT_EQ(List(request)->training_jobs(0).name(), "trainingJobs/b");
  request.set_filter("state = \"FAILED\"");
  EXPECT_EQ(List(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_page_token("7");
  EXPECT_EQ(List(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JobsTest, AListLeavesExplicitNumbersOutAndSaysThePlaceInTheQueue) {
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  WaitForRows("trainingJobs/running");
  auto request = Request(R"pb(
    quadratic { spectrum { explicit { eigenvalues: [ 1, 2, 3 ] } } }
    optimizer { gradient_descent {} })pb");
  for (const char* id : {"first", "second"}) {
    request.set_training_job_id(id);
    ASSERT_TRUE(Create(request).ok());
  }
  const auto list = List({});
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->training_jobs_size(), 3);
  EXPECT_EQ(list->training_jobs(0).jobs_ahead(), 1);
  EXPECT_EQ(list->training_jobs(1).jobs_ahead(), 0);
  EXPECT_EQ(list->training_jobs(0).spec().quadratic().spectrum().explicit_().eigenvalues_size(), 0);
}

}  // namespace
}  // namespace polyak::jobs
