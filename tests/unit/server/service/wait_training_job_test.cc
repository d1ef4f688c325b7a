#include <future>
#include <limits>
#include <thread>

#include "gmock/gmock.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

using ::testing::ElementsAre;

class WaitTrainingJob : public ServiceTest {
 protected:
  grpc::Status WaitFor(const std::string& name, int64_t seconds, int32_t nanos = 0) {
    v1::WaitTrainingJobRequest request;
    request.set_name(name);
    request.mutable_timeout()->set_seconds(seconds);
    request.mutable_timeout()->set_nanos(nanos);
    return Call(&v1::TrainingService::Stub::WaitTrainingJob, request, response_);
  }
  v1::WaitTrainingJobResponse response_;
};

TEST_F(WaitTrainingJob, AnswersTheEndOfAJob) {
  EXPECT_EQ(Wait(Create(kShort, "a")).state(), v1::TrainingJob::STATE_SUCCEEDED);
}

TEST_F(WaitTrainingJob, ATimeoutOfZeroAnswersTheJobAsItIs) {
  const std::string name = Create(kEndless, "a");
  ASSERT_TRUE(WaitFor(name, 0).ok());
  EXPECT_FALSE(response_.training_job().has_end_time());
  EXPECT_TRUE(Cancel(name).ok());
}

// The clock is the test's: the wait ends when it is moved, and not before the deadline.
TEST_F(WaitTrainingJob, EndsWithTheJobAsItIsWhenTheTimeIsOver) {
  const std::string name = Create(kEndless, "a");
  auto status = std::async(std::launch::async, [&] { return WaitFor(name, 600); });
  while (jobs_->pulse().watcher_count() == 0) {
    std::this_thread::yield();
  }
  clock_.Advance(absl::Seconds(599));
  EXPECT_EQ(status.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(status.get().ok());
  EXPECT_EQ(response_.training_job().name(), name);
  EXPECT_FALSE(response_.training_job().has_end_time());
  EXPECT_TRUE(Cancel(name).ok());
}

TEST_F(WaitTrainingJob, EndsWithUnavailableWhenTheServerDrains) {
  const std::string name = Create(kEndless, "a");
  auto status = std::async(std::launch::async, [&] { return WaitFor(name, 600); });
  while (jobs_->pulse().watcher_count() == 0) {
    std::this_thread::yield();
  }
  jobs_->Drain();
  const grpc::Status ended = status.get();
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(ended), "SERVER_DRAINING");
}

TEST_F(WaitTrainingJob, RefusesATimeoutOutOfRangeAndAnUnknownJob) {
  const std::string name = Create(kShort, "a");
  EXPECT_THAT(FieldsOf(WaitFor(name, -1)), ElementsAre("timeout"));
  EXPECT_THAT(FieldsOf(WaitFor(name, 601)), ElementsAre("timeout"));
  EXPECT_THAT(FieldsOf(WaitFor(name, 600, 1000)), ElementsAre("timeout"));
  EXPECT_THAT(FieldsOf(WaitFor(name, std::numeric_limits<int64_t>::max())), ElementsAre("timeout"));
  EXPECT_EQ(WaitFor("trainingJobs/x", 1).error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace polyak::service
