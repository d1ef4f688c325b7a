#include "gmock/gmock.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

using ::testing::ElementsAre;
using Stub = v1::TrainingService::Stub;

class JobMethods : public ServiceTest {
 protected:
  grpc::Status Get(const std::string& name) {
    v1::GetTrainingJobRequest request;
    request.set_name(name);
    return Call(&Stub::GetTrainingJob, request, job_);
  }
  grpc::Status Delete(const std::string& name) {
    v1::DeleteTrainingJobRequest request;
    request.set_name(name);
    v1::DeleteTrainingJobResponse response;
    return Call(&Stub::DeleteTrainingJob, request, response);
  }
  grpc::Status List(const v1::ListTrainingJobsRequest& request) {
    return Call(&Stub::ListTrainingJobs, request, list_);
  }
  v1::GetTrainingJobResponse job_;
  v1::ListTrainingJobsResponse list_;
};

TEST_F(JobMethods, ANameThatIsNoneIsInvalidInEveryMethod) {
  for (const char* name : {"", "a", "trainingJobs/", "trainingJobs/A"}) {
    EXPECT_THAT(FieldsOf(Get(name)), ElementsAre("name"));
    EXPECT_THAT(FieldsOf(Cancel(name)), ElementsAre("name"));
    EXPECT_THAT(FieldsOf(Delete(name)), ElementsAre("name"));
  }
}

TEST_F(JobMethods, AnUnknownJobIsNotFoundInEveryMethod) {
  for (const grpc::Status& status :
       {Get("trainingJobs/x"), Cancel("trainingJobs/x"), Delete("trainingJobs/x")}) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(ReasonOf(status), "JOB_NOT_FOUND");
  }
}

TEST_F(JobMethods, GetAnswersTheJobAsItIs) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  ASSERT_TRUE(Get(name).ok());
  EXPECT_EQ(job_.training_job().state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(job_.training_job().summary().iterations(), 50);
}

TEST_F(JobMethods, DeleteRefusesAnActiveJobAndForgetsAnEndedOneForThirtyDays) {
  const std::string name = Create(kEndless, "a");
  const grpc::Status refused = Delete(name);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(refused), "JOB_ACTIVE");
  ASSERT_TRUE(Cancel(name).ok());
  EXPECT_EQ(Wait(name).state(), v1::TrainingJob::STATE_CANCELLED);
  ASSERT_TRUE(Delete(name).ok());
  EXPECT_EQ(ReasonOf(Get(name)), "JOB_EXPIRED");
  EXPECT_EQ(ReasonOf(Delete(name)), "JOB_EXPIRED");
  clock_.Advance(absl::Hours(24 * 30));
  EXPECT_EQ(ReasonOf(Get(name)), "JOB_NOT_FOUND");
}

TEST_F(JobMethods, CancelOfAnEndedJobAnswersItUnchanged) {
  const std::string name = Create(kShort, "a");
  const v1::TrainingJob ended = Wait(name);
  ASSERT_TRUE(Cancel(name).ok());
  ASSERT_TRUE(Get(name).ok());
  EXPECT_EQ(job_.training_job().SerializeAsString(), ended.SerializeAsString());
}

TEST_F(JobMethods, ListPagesAndFilters) {
  for (const char* id : {"a", "b", "c"}) {
    Wait(Create(kShort, id));
  }
  v1::ListTrainingJobsRequest request;
  request.set_page_size(2);
  ASSERT_TRUE(List(request).ok());
  ASSERT_EQ(list_.training_jobs_size(), 2);
  EXPECT_EQ(list_.training_jobs(0).name(), "trainingJobs/c");
  request.set_page_token(list_.next_page_token());
  ASSERT_TRUE(List(request).ok());
  ASSERT_EQ(list_.training_jobs_size(), 1);
  EXPECT_EQ(list_.training_jobs(0).name(), "trainingJobs/a");
  EXPECT_EQ(list_.next_page_token(), "");
  v1::ListTrainingJobsRequest none;
  none.set_filter("state = \"RUNNING\"");
  ASSERT_TRUE(List(none).ok());
  EXPECT_EQ(list_.training_jobs_size(), 0);
}

TEST_F(JobMethods, ListRefusesWhatItCanNotRead) {
  v1::ListTrainingJobsRequest request;
  request.set_page_size(1001);
  request.set_page_token("9");
  request.set_filter("speed = \"9\"");
  EXPECT_THAT(FieldsOf(List(request)), ElementsAre("filter", "page_size", "page_token"));
  request.Clear();
  request.set_page_size(-1);
  EXPECT_THAT(FieldsOf(List(request)), ElementsAre("page_size"));
}

}  // namespace
}  // namespace polyak::service
