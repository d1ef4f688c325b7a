#include "gmock/gmock.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

using ::testing::ElementsAre;

class PreviewTrainingJob : public ServiceTest {
 protected:
  grpc::Status Preview(const std::string& spec) {
    v1::PreviewTrainingJobRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec, request.mutable_spec()));
    return Call(&v1::TrainingService::Stub::PreviewTrainingJob, request, response_);
  }
  v1::PreviewTrainingJobResponse response_;
};

TEST_F(PreviewTrainingJob, AnswersResolutionAndForecastAndMakesNoJob) {
  ASSERT_TRUE(Preview("quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } "
                      "optimizer { polyak_momentum {} } stopping { relative_loss: 1e-6 }")
                  .ok());
  EXPECT_GT(response_.resolution().step_size(), 0);
  EXPECT_GT(response_.forecast().memory_bytes(), 0);
  EXPECT_GT(response_.forecast().predicted_iterations(), 0);
  EXPECT_EQ(response_.warnings_size(), 0);
  v1::ListTrainingJobsResponse list;
  ASSERT_TRUE(
      Call(&v1::TrainingService::Stub::ListTrainingJobs, v1::ListTrainingJobsRequest(), list).ok());
  EXPECT_EQ(list.training_jobs_size(), 0);
}

TEST_F(PreviewTrainingJob, WarnsOfParametersOfTwoMinds) {
  ASSERT_TRUE(Preview("quadratic { spectrum { explicit { eigenvalues: [1, 2] } } } optimizer { "
                      "polyak_momentum { momentum: 0.9 } }")
                  .ok());
  EXPECT_GE(response_.warnings_size(), 1);
}

TEST_F(PreviewTrainingJob, RefusesAsCreateDoes) {
  EXPECT_THAT(FieldsOf(Preview("")), ElementsAre("spec.problem", "spec.optimizer.method"));
  EXPECT_THAT(FieldsOf(Preview("quadratic { matrix { rows: 2 cols: 2 values: [1, 2, 2, 1] } } "
                               "optimizer { gradient_descent {} }")),
              ElementsAre("spec.quadratic.matrix"));
}

TEST_F(PreviewTrainingJob, IsRefusedWhileTheServerDrains) {
  jobs_->Drain();
  EXPECT_EQ(Preview(kShort).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace polyak::service
