#include <limits>

#include "gmock/gmock.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

using ::testing::ElementsAre;

class ReadIterations : public ServiceTest {
 protected:
  grpc::Status Read(const v1::ReadIterationsRequest& request) {
    return Call(&v1::TrainingService::Stub::ReadIterations, request, page_);
  }
  v1::ReadIterationsRequest Of(const std::string& name) {
    v1::ReadIterationsRequest request;
    request.set_name(name);
    return request;
  }
  v1::ReadIterationsResponse page_;
};

TEST_F(ReadIterations, PagesJoinToTheWholeTraceAndTheLastSaysSo) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  v1::ReadIterationsRequest request = Of(name);
  ASSERT_TRUE(Read(request).ok());
  EXPECT_EQ(page_.iterations().iteration_size(), 51);
  EXPECT_TRUE(page_.end_of_trace());
  const std::string whole = page_.iterations().SerializeAsString();
  request.set_max_records(20);
  v1::IterationBatch joined;
  int pages = 0;
  do {
    ASSERT_TRUE(Read(request).ok());
    joined.MergeFrom(page_.iterations());
    request.set_after_iteration(joined.iteration(joined.iteration_size() - 1));
    ++pages;
  } while (!page_.end_of_trace());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(joined.SerializeAsString(), whole);
  // The cursor is at the last record.
  ASSERT_TRUE(Read(request).ok());
  EXPECT_EQ(page_.iterations().iteration_size(), 0);
  EXPECT_TRUE(page_.end_of_trace());
}

TEST_F(ReadIterations, AStrideKeepsTheFirstAndTheLast) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  v1::ReadIterationsRequest request = Of(name);
  request.set_stride(40);
  ASSERT_TRUE(Read(request).ok());
  EXPECT_THAT(page_.iterations().iteration(), ElementsAre(0, 40, 50));
  EXPECT_TRUE(page_.end_of_trace());
  request.set_stride(std::numeric_limits<int64_t>::max());
  request.set_after_iteration(7);
  ASSERT_TRUE(Read(request).ok());
  EXPECT_THAT(page_.iterations().iteration(), ElementsAre(50));
  EXPECT_TRUE(page_.end_of_trace());
}

TEST_F(ReadIterations, ThePredictedCurveAndTimesComeOnRequest) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  v1::ReadIterationsRequest request = Of(name);
  request.set_with_prediction(true);
  request.set_with_elapsed(true);
  ASSERT_TRUE(Read(request).ok());
  ASSERT_EQ(page_.iterations().predicted_residual_norm_size(), 51);
  EXPECT_EQ(page_.iterations().elapsed_seconds_size(), 51);
  // (T12) under THEOREM parameters: within 10 kappa eps |xi_0|, kappa = 10.
  EXPECT_NEAR(page_.iterations().predicted_residual_norm(50), page_.iterations().residual_norm(50),
              100 * 2.3e-16 * page_.iterations().residual_norm(0));
}

TEST_F(ReadIterations, ARunningJobHasNoEnd) {
  const std::string name = Create(kEndless, "a");
  v1::ReadIterationsRequest request = Of(name);
  ASSERT_TRUE(Read(request).ok());
  EXPECT_FALSE(page_.end_of_trace());
  // Beyond what is stored, but not beyond the job: nothing yet.
  request.set_after_iteration(10'000'000);
  ASSERT_TRUE(Read(request).ok());
  EXPECT_EQ(page_.iterations().iteration_size(), 0);
  EXPECT_FALSE(page_.end_of_trace());
  EXPECT_TRUE(Cancel(name).ok());
}

TEST_F(ReadIterations, AJobCancelledWhileItWaitedEndsWithoutRecords) {
  const std::string running = Create(kEndless, "running");
  const std::string queued = Create(kShort, "queued");
  ASSERT_TRUE(Cancel(queued).ok());
  ASSERT_TRUE(Read(Of(queued)).ok());
  EXPECT_EQ(page_.iterations().iteration_size(), 0);
  EXPECT_TRUE(page_.end_of_trace());
  EXPECT_TRUE(Cancel(running).ok());
}

TEST_F(ReadIterations, RefusesWhatItCanNotRead) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  v1::ReadIterationsRequest request = Of(name);
  request.set_max_records(50'001);
  EXPECT_THAT(FieldsOf(Read(request)), ElementsAre("max_records"));
  request.set_max_records(-1);
  EXPECT_THAT(FieldsOf(Read(request)), ElementsAre("max_records"));
  request.set_max_records(50'000);
  request.set_stride(-1);
  request.set_after_iteration(-1);
  EXPECT_THAT(FieldsOf(Read(request)), ElementsAre("stride", "after_iteration"));
  EXPECT_EQ(Read(Of("trainingJobs/x")).error_code(), grpc::StatusCode::NOT_FOUND);
}

// The largest answers are within what a client takes by default: 4 MiB.
TEST_F(ReadIterations, APageWithDiagnosticsOfEveryRecordIsShorter) {
  const std::string name = Create(
      "quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } optimizer { "
      "gradient_descent { step_size: 1e-9 } } stopping { max_iterations: 40000 } "
      "diagnostics_interval: 1",
      "a");
  Wait(name);
  v1::ReadIterationsRequest request = Of(name);
  request.set_max_records(50'000);
  request.set_with_elapsed(true);
  request.set_with_prediction(true);
  request.set_with_diagnostics(true);
  const grpc::Status status = Read(request);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(page_.iterations().iteration_size(), 35'000);
  EXPECT_EQ(page_.iterations().diagnostics().iteration_size(), 35'000);
  EXPECT_FALSE(page_.end_of_trace());
  request.set_after_iteration(34'999);
  ASSERT_TRUE(Read(request).ok());
  EXPECT_EQ(page_.iterations().iteration_size(), 5'001);
  EXPECT_TRUE(page_.end_of_trace());
}

}  // namespace
}  // namespace polyak::service
