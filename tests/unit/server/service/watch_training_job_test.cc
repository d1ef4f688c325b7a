#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

using Event = v1::WatchTrainingJobResponse;
using ::testing::ElementsAre;

// One watch, read event by event.
class Watch {
 public:
  Watch(v1::TrainingService::Stub& stub, const v1::WatchTrainingJobRequest& request) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    reader_ = stub.WatchTrainingJob(&context_, request);
  }
  // The next event; nothing set at the end of the stream.
  Event Next() {
    Event event;
    if (!reader_->Read(&event)) {
      event.Clear();
    }
    return event;
  }
  ~Watch() {
    if (!finished_) {
      context_.TryCancel();
      reader_->Finish();
    }
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void Cancel() { context_.TryCancel(); }
  grpc::Status Finish() {
    finished_ = true;
    return reader_->Finish();
  }

 private:
  bool finished_ = false;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<Event>> reader_;
};

class WatchTrainingJob : public ServiceTest {
 protected:
  using ServiceTest::ServiceTest;
  static v1::WatchTrainingJobRequest Of(const std::string& name) {
    v1::WatchTrainingJobRequest request;
    request.set_name(name);
    return request;
  }
};

TEST_F(WatchTrainingJob, AnEndedJobIsSentInTheOrderOfThePromise) {
  const std::string name = Create(kShort, "a");
  const v1::TrainingJob ended = Wait(name);
  Watch watch(*stub_, Of(name));
  Event event = watch.Next();
  EXPECT_EQ(event.snapshot().training_job().SerializeAsString(), ended.SerializeAsString());
  event = watch.Next();
  ASSERT_EQ(event.iterations().iteration_size(), 51);
  EXPECT_EQ(event.iterations().iteration(50), 50);
  event = watch.Next();
  ASSERT_TRUE(event.has_caught_up());
  EXPECT_EQ(event.caught_up().iteration(), 50);
  event = watch.Next();
  EXPECT_EQ(event.terminal().training_job().SerializeAsString(), ended.SerializeAsString());
  EXPECT_EQ(watch.Next().event_case(), Event::EVENT_NOT_SET);
  EXPECT_TRUE(watch.Finish().ok());
}

TEST_F(WatchTrainingJob, AtTheLastRecordThereIsNothingButTheOrder) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  v1::WatchTrainingJobRequest request = Of(name);
  request.set_after_iteration(50);
  Watch watch(*stub_, request);
  EXPECT_TRUE(watch.Next().has_snapshot());
  EXPECT_TRUE(watch.Next().has_caught_up());
  EXPECT_TRUE(watch.Next().has_terminal());
  EXPECT_EQ(watch.Next().event_case(), Event::EVENT_NOT_SET);
  EXPECT_TRUE(watch.Finish().ok());
}

TEST_F(WatchTrainingJob, AWaitingJobIsSilentButForAHeartbeatEveryTenSeconds) {
  const std::string running = Create(kEndless, "running");
  const std::string waiting = Create(kShort, "waiting");
  Watch watch(*stub_, Of(waiting));
  EXPECT_EQ(watch.Next().snapshot().training_job().state(), v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ(watch.Next().caught_up().iteration(), -1);
  for (int beat = 0; beat < 2; ++beat) {
    clock_.Advance(absl::Seconds(10));
    const Event event = watch.Next();
    ASSERT_TRUE(event.has_heartbeat());
    EXPECT_EQ(event.heartbeat().iteration(), -1);
    EXPECT_EQ(event.heartbeat().state(), v1::TrainingJob::STATE_QUEUED);
  }
  // The one before it ends, and the waiting one is trained and streamed.
  ASSERT_TRUE(Cancel(running).ok());
  std::vector<int64_t> iterations;
  Event event = watch.Next();
  for (; event.has_iterations(); event = watch.Next()) {
    iterations.insert(iterations.end(), event.iterations().iteration().begin(),
                      event.iterations().iteration().end());
  }
  ASSERT_EQ(iterations.size(), 51u);
  for (int64_t t = 0; t <= 50; ++t) {
    EXPECT_EQ(iterations[static_cast<size_t>(t)], t);
  }
  EXPECT_EQ(event.terminal().training_job().state(), v1::TrainingJob::STATE_SUCCEEDED);
}

TEST_F(WatchTrainingJob, ThePredictedCurveIsComputedForWhoAsks) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  v1::WatchTrainingJobRequest request = Of(name);
  request.set_with_prediction(true);
  request.set_stride(25);
  Watch watch(*stub_, request);
  watch.Next();
  const Event event = watch.Next();
  EXPECT_THAT(event.iterations().iteration(), ElementsAre(0, 25, 50));
  EXPECT_EQ(event.iterations().predicted_residual_norm_size(), 3);
}

TEST_F(WatchTrainingJob, AJobThatCouldNotBeStoredAfterAllIsNotFound) {
  ASSERT_FALSE(Create(kEndless, "running").empty());
  const std::string name = Create(kEndless, "a");
  Watch watch(*stub_, Of(name));
  ASSERT_TRUE(watch.Next().has_snapshot());
  jobs_->Find(name, [](const auto& job) { (*job)->set_never_was(); });
  jobs_->pulse().WakeAll();
  while (watch.Next().event_case() != Event::EVENT_NOT_SET) {
  }
  EXPECT_EQ(watch.Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(WatchTrainingJob, ADrainEndsItWithoutTerminal) {
  const std::string name = Create(kEndless, "a");
  Watch watch(*stub_, Of(name));
  EXPECT_TRUE(watch.Next().has_snapshot());
  jobs_->Drain();
  Event event = watch.Next();
  while (event.event_case() != Event::EVENT_NOT_SET) {
    EXPECT_FALSE(event.has_terminal());
    event = watch.Next();
  }
  const grpc::Status status = watch.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "SERVER_DRAINING");
  Watch late(*stub_, Of(name));
  EXPECT_EQ(late.Next().event_case(), Event::EVENT_NOT_SET);
  EXPECT_EQ(late.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WatchTrainingJob, RefusesWhatItCanNotFollow) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  const auto refusal = [this](const v1::WatchTrainingJobRequest& request) {
    Watch watch(*stub_, request);
    EXPECT_EQ(watch.Next().event_case(), Event::EVENT_NOT_SET);
    return watch.Finish();
  };
  EXPECT_EQ(ReasonOf(refusal(Of("trainingJobs/x"))), "JOB_NOT_FOUND");
  v1::WatchTrainingJobRequest request = Of(name);
  request.set_stride(-1);
  EXPECT_THAT(FieldsOf(refusal(request)), ElementsAre("stride"));
  request.set_stride(0);
  request.set_after_iteration(51);  // beyond max_iterations
  EXPECT_THAT(FieldsOf(refusal(request)), ElementsAre("after_iteration"));
}

class OneWatcher : public WatchTrainingJob {
 protected:
  OneWatcher() : WatchTrainingJob(ServiceOptions{.max_watchers = 1}) {}
};

TEST_F(OneWatcher, MoreThanAllowedAreRefusedUntilOneHasGone) {
  const std::string name = Create(kEndless, "a");
  Watch first(*stub_, Of(name));
  EXPECT_TRUE(first.Next().has_snapshot());
  Watch second(*stub_, Of(name));
  EXPECT_EQ(second.Next().event_case(), Event::EVENT_NOT_SET);
  const grpc::Status status = second.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "TOO_MANY_WATCHERS");
  first.Cancel();
  EXPECT_EQ(first.Finish().error_code(), grpc::StatusCode::CANCELLED);
  // Its place is free once the server has noticed.
  while (true) {
    Watch third(*stub_, Of(name));
    if (third.Next().has_snapshot()) {
      break;
    }
    ASSERT_EQ(third.Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  EXPECT_TRUE(Cancel(name).ok());
}

}  // namespace
}  // namespace polyak::service
