#include "gmock/gmock.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

using ::testing::UnorderedElementsAre;

class CreateTrainingJob : public ServiceTest {
 protected:
  grpc::Status Send(const v1::CreateTrainingJobRequest& request) {
    return Call(&v1::TrainingService::Stub::CreateTrainingJob, request, response_);
  }
  v1::CreateTrainingJobResponse response_;
};

TEST_F(CreateTrainingJob, AnswersTheJobAsAccepted) {
  v1::CreateTrainingJobRequest request;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kShort, request.mutable_spec()));
  request.set_training_job_id("a");
  request.set_display_name("First");
  (*request.mutable_labels())["course"] = "ml";
  ASSERT_TRUE(Send(request).ok());
  const v1::TrainingJob& job = response_.training_job();
  EXPECT_EQ(job.name(), "trainingJobs/a");
  EXPECT_EQ(job.display_name(), "First");
  EXPECT_EQ(job.labels().at("course"), "ml");
  EXPECT_EQ(job.spec().SerializeAsString(), request.spec().SerializeAsString());
  EXPECT_EQ(job.state(), v1::TrainingJob::STATE_QUEUED);
  EXPECT_NEAR(job.resolution().prediction().condition_number(), 10, 1e-13);
}

TEST_F(CreateTrainingJob, NamesEveryBadFieldOfTheRequestInOneAnswer) {
  v1::CreateTrainingJobRequest request;
  request.set_training_job_id("Not An Id");
  request.set_request_id(std::string(65, 'x'));
  request.set_display_name(std::string(257, 'x'));
  (*request.mutable_labels())["Key"] = "v";
  const grpc::Status status = Send(request);
  EXPECT_THAT(FieldsOf(status),
              UnorderedElementsAre("training_job_id", "request_id", "display_name", "labels",
                                   "spec.problem", "spec.optimizer.method"));
  EXPECT_EQ(ReasonOf(status), "INVALID_FIELDS");
}

TEST_F(CreateTrainingJob, ATakenIdAndARequestIdOfAnotherRequestExistAlready) {
  Create(kShort, "a");
  v1::CreateTrainingJobRequest request;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kShort, request.mutable_spec()));
  request.set_training_job_id("a");
  grpc::Status status = Send(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(ReasonOf(status), "ID_TAKEN");
  request.set_training_job_id("b");
  request.set_request_id("once");
  ASSERT_TRUE(Send(request).ok());
  EXPECT_TRUE(Send(request).ok());  // the same again
  request.set_training_job_id("c");
  status = Send(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(ReasonOf(status), "REQUEST_ID_REUSED");
}

TEST_F(CreateTrainingJob, ARetryOfARequestWhoseJobWasDeletedMakesNoSecondOne) {
  v1::CreateTrainingJobRequest request;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kShort, request.mutable_spec()));
  request.set_request_id("once");
  ASSERT_TRUE(Send(request).ok());
  const std::string name = response_.training_job().name();
  Wait(name);
  v1::DeleteTrainingJobRequest remove;
  remove.set_name(name);
  v1::DeleteTrainingJobResponse removed;
  ASSERT_TRUE(Call(&v1::TrainingService::Stub::DeleteTrainingJob, remove, removed).ok());
  const grpc::Status status = Send(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(ReasonOf(status), "REQUEST_ID_REUSED");
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("which was deleted"));
}

TEST_F(CreateTrainingJob, IsRefusedWhileTheServerDrains) {
  jobs_->Drain();
  const grpc::Status status = Send({});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "SERVER_DRAINING");
}

}  // namespace
}  // namespace polyak::service
