// The client library against a server that answers by script: what no well-behaved polyakd does on
// demand. tests/integration runs it against the real one.

#include "client/cpp/client.h"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/status.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace polyak::client {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::SizeIs;

using WatchWriter = grpc::ServerWriter<v1::WatchTrainingJobResponse>;

// The requests of one method, in their order. Safe from any thread.
template <typename Request>
class Calls {
 public:
  // Returns its number, from 0.
  size_t Add(const Request& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    return requests_.size() - 1;
  }
  void Clear() {
    const std::lock_guard lock(mutex_);
    requests_.clear();
  }
  std::vector<Request> all() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
};

// Answers call number k (from 0) of a method as the test says.
class ScriptedServer : public v1::TrainingService::Service {
 public:
  ScriptedServer() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~ScriptedServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status CreateTrainingJob(grpc::ServerContext* /*context*/,
                                 const v1::CreateTrainingJobRequest* request,
                                 v1::CreateTrainingJobResponse* response) override {
    const size_t number = created.Add(*request);
    response->mutable_training_job()->set_name("trainingJobs/a");
    return on_create(number);
  }
  grpc::Status WaitTrainingJob(grpc::ServerContext* /*context*/,
                               const v1::WaitTrainingJobRequest* request,
                               v1::WaitTrainingJobResponse* response) override {
    const size_t number = waited.Add(*request);
    *response->mutable_training_job() = on_wait(number);
    return grpc::Status::OK;
  }
  grpc::Status WatchTrainingJob(grpc::ServerContext* context,
                                const v1::WatchTrainingJobRequest* request,
                                WatchWriter* writer) override {
    const size_t number = watched.Add(*request);
    return on_watch(number, *context, *writer);
  }

  const std::string& address() const { return address_; }

  // Set before the first call; calls of one client follow each other.
  std::function<grpc::Status(size_t)> on_create = [](size_t) { return grpc::Status::OK; };
  std::function<v1::TrainingJob(size_t)> on_wait;
  std::function<grpc::Status(size_t, grpc::ServerContext&, WatchWriter&)> on_watch;
  Calls<v1::CreateTrainingJobRequest> created;
  Calls<v1::WaitTrainingJobRequest> waited;
  Calls<v1::WatchTrainingJobRequest> watched;

 private:
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

grpc::Status Exhausted(absl::Duration retry_after) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(retry_after));
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(retry_after - absl::Seconds(absl::ToInt64Seconds(retry_after)))));
  google::rpc::Status status;
  status.set_code(static_cast<int>(grpc::StatusCode::RESOURCE_EXHAUSTED));
  status.add_details()->PackFrom(retry);
  return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", status.SerializeAsString());
}

const grpc::Status kUnavailable(grpc::StatusCode::UNAVAILABLE, "not now");

class ClientTest : public ::testing::Test {
 protected:
  Client Connect(absl::Duration give_up_after = absl::Seconds(60)) {
    ClientOptions options;
    options.server = server_.address();
    options.give_up_after = give_up_after;
    options.on_retry = [this](const absl::Status& /*status*/, absl::Duration pause) {
      pauses_.push_back(pause);
      if (on_retry_) {
        on_retry_();
      }
    };
    return Client(options);
  }

  static v1::WatchTrainingJobRequest Watching() {
    v1::WatchTrainingJobRequest request;
    request.set_name("trainingJobs/a");
    return request;
  }

  ScriptedServer server_;
  std::vector<absl::Duration> pauses_;
  std::function<void()> on_retry_;
};

// Events of a stream.
v1::WatchTrainingJobResponse Snapshot(const std::string& uid = "u1") {
  v1::WatchTrainingJobResponse event;
  event.mutable_snapshot()->mutable_training_job()->set_uid(uid);
  return event;
}
v1::WatchTrainingJobResponse Records(int64_t first, int64_t last) {
  v1::WatchTrainingJobResponse event;
  for (int64_t t = first; t <= last; ++t) {
    event.mutable_iterations()->add_iteration(t);
    event.mutable_iterations()->add_loss(1.0 / static_cast<double>(t + 1));
  }
  return event;
}
v1::WatchTrainingJobResponse CaughtUp(int64_t iteration) {
  v1::WatchTrainingJobResponse event;
  event.mutable_caught_up()->set_iteration(iteration);
  return event;
}
v1::WatchTrainingJobResponse Terminal() {
  v1::WatchTrainingJobResponse event;
  event.mutable_terminal()->mutable_training_job()->set_state(v1::TrainingJob::STATE_SUCCEEDED);
  return event;
}

// Keeps what a watch delivers.
class Recorder : public WatchHandler {
 public:
  void OnSnapshot(const v1::TrainingJob& /*job*/) override {
    order += 'S';
    if (on_snapshot) {
      on_snapshot();
    }
  }
  void OnIterations(const v1::IterationBatch& batch) override {
    order += 'I';
    iterations.insert(iterations.end(), batch.iteration().begin(), batch.iteration().end());
  }
  void OnCaughtUp(const v1::CaughtUp& /*caught_up*/) override { order += 'C'; }
  void OnHeartbeat(const v1::Heartbeat& /*heartbeat*/) override { order += 'H'; }

  std::string order;
  std::vector<int64_t> iterations;
  std::function<void()> on_snapshot;
};

TEST_F(ClientTest, SubmitKeepsOneRequestIdOverAllItsTries) {
  server_.on_create = [](size_t call) { return call < 3 ? kUnavailable : grpc::Status::OK; };
  Client client = Connect();
  ASSERT_TRUE(client.Submit({}).ok());
  ASSERT_EQ(server_.created.all().size(), 4u);
  const std::string id = server_.created.all()[0].request_id();
  EXPECT_THAT(id, SizeIs(AllOf(Ge(16u), ::testing::Le(64u))));
  for (const auto& request : server_.created.all()) {
    EXPECT_EQ(request.request_id(), id);
  }
  ASSERT_TRUE(client.Submit({}).ok());
  EXPECT_NE(server_.created.all().back().request_id(), id);
}

TEST_F(ClientTest, SubmitKeepsTheRequestIdItWasGiven) {
  v1::CreateTrainingJobRequest request;
  request.set_request_id("mine");
  ASSERT_TRUE(Connect().Submit(request).ok());
  EXPECT_EQ(server_.created.all()[0].request_id(), "mine");
}

TEST_F(ClientTest, PausesGrowWhileTheServerIsUnavailable) {
  server_.on_create = [](size_t call) { return call < 3 ? kUnavailable : grpc::Status::OK; };
  ASSERT_TRUE(Connect().Submit({}).ok());
  ASSERT_THAT(pauses_, SizeIs(3));
  absl::Duration limit = absl::Milliseconds(200);  // Backoff's first
  for (const absl::Duration pause : pauses_) {
    EXPECT_GE(pause, limit / 2);
    EXPECT_LE(pause, limit);
    limit *= 2;
  }
}

TEST_F(ClientTest, AFullServerIsTriedAgainNoSoonerThanItSays) {
  const absl::Duration told = absl::Milliseconds(300);
  server_.on_create = [told](size_t call) { return call < 1 ? Exhausted(told) : grpc::Status::OK; };
  const absl::Time begin = absl::Now();
  ASSERT_TRUE(Connect().Submit({}).ok());
  EXPECT_THAT(pauses_, ElementsAre(told));  // the first own pause is at most 200 ms
  EXPECT_GE(absl::Now() - begin, told);
}

TEST_F(ClientTest, AFullServerThatNamesNoDelayIsNotTriedAgain) {
  server_.on_create = [](size_t) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the job is too large");
  };
  EXPECT_EQ(Connect().Submit({}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(server_.created.all().size(), 1u);
}

TEST_F(ClientTest, NoOtherCodeIsTriedAgain) {
  for (int code = 1; code <= 16; ++code) {
    if (code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::RESOURCE_EXHAUSTED) {
      continue;
    }
    server_.created.Clear();
    server_.on_create = [code](size_t) {
      return grpc::Status(static_cast<grpc::StatusCode>(code), "no");
    };
    EXPECT_EQ(static_cast<int>(Connect().Submit({}).status().code()), code);
    EXPECT_EQ(server_.created.all().size(), 1u) << code;
  }
}

TEST_F(ClientTest, GivesUpWithTheLastErrorOnceTheTimeIsOver) {
  server_.on_create = [](size_t call) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, absl::StrCat("try ", call));
  };
  const absl::Duration give_up_after = absl::Milliseconds(700);
  const absl::Status status = Connect(give_up_after).Submit({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), absl::StrCat("try ", server_.created.all().size() - 1));
  // Pauses of at least 100, 200, 400 ms: no fourth one ends in time. At most 200 and 400 ms: two
  // do.
  EXPECT_GE(pauses_.size(), 1u);
  EXPECT_LE(pauses_.size(), 3u);
  absl::Duration paused;
  for (const absl::Duration pause : pauses_) {
    paused += pause;
  }
  EXPECT_LE(paused, give_up_after);
}

TEST_F(ClientTest, WithNoTimeToGiveThereIsOneTry) {
  server_.on_create = [](size_t) { return kUnavailable; };
  EXPECT_FALSE(Connect(absl::ZeroDuration()).Submit({}).ok());
  EXPECT_EQ(server_.created.all().size(), 1u);
  EXPECT_THAT(pauses_, SizeIs(0));
}

TEST_F(ClientTest, ACutWatchResumesAfterTheLastRecordDelivered) {
  server_.on_watch = [](size_t call, grpc::ServerContext& /*context*/, WatchWriter& writer) {
    writer.Write(Snapshot());
    if (call == 0) {
      writer.Write(Records(0, 9));
      writer.Write(CaughtUp(9));
      return kUnavailable;
    }
    if (call == 1) {
      return kUnavailable;  // nothing new: the cursor stays
    }
    writer.Write(Records(10, 12));
    writer.Write(Terminal());
    return grpc::Status::OK;
  };
  Recorder recorder;
  const auto job = Connect().Watch(Watching(), recorder);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(recorder.order, "SICSSI");
  EXPECT_THAT(recorder.iterations, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  ASSERT_EQ(server_.watched.all().size(), 3u);
  EXPECT_FALSE(server_.watched.all()[0].has_after_iteration());
  EXPECT_EQ(server_.watched.all()[1].after_iteration(), 9);
  EXPECT_EQ(server_.watched.all()[2].after_iteration(), 9);
}

TEST_F(ClientTest, AStreamThatEndsWithoutTerminalIsACut) {
  server_.on_watch = [](size_t call, grpc::ServerContext& /*context*/, WatchWriter& writer) {
    writer.Write(Snapshot());
    if (call > 0) {
      writer.Write(Terminal());
    }
    return grpc::Status::OK;
  };
  Recorder recorder;
  EXPECT_TRUE(Connect().Watch(Watching(), recorder).ok());
  EXPECT_EQ(server_.watched.all().size(), 2u);
}

TEST_F(ClientTest, EventsOfANewerServerAndEmptyBatchesArePassedOver) {
  server_.on_watch = [](size_t /*call*/, grpc::ServerContext& /*context*/, WatchWriter& writer) {
    writer.Write(Snapshot());
    writer.Write(v1::WatchTrainingJobResponse());
    writer.Write(Records(0, -1));
    writer.Write(Records(0, 1));
    writer.Write(Terminal());
    return grpc::Status::OK;
  };
  Recorder recorder;
  EXPECT_TRUE(Connect().Watch(Watching(), recorder).ok());
  EXPECT_EQ(recorder.order, "SI");
}

TEST_F(ClientTest, RecordsOfTwoJobsOfOneNameAreNeverJoined) {
  server_.on_watch = [](size_t call, grpc::ServerContext& /*context*/, WatchWriter& writer) {
    writer.Write(Snapshot(call == 0 ? "u1" : "u2"));
    writer.Write(call == 0 ? Records(0, 3) : Records(4, 7));
    if (call > 0) {
      writer.Write(Terminal());
    }
    return call == 0 ? kUnavailable : grpc::Status::OK;
  };
  Recorder recorder;
  const absl::Status status = Connect().Watch(Watching(), recorder).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("u2"));
  EXPECT_EQ(recorder.order, "SI");
}

TEST_F(ClientTest, AWatchOfNoJobIsNotTriedAgain) {
  server_.on_watch = [](size_t, grpc::ServerContext&, WatchWriter&) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such job");
  };
  Recorder recorder;
  EXPECT_EQ(Connect().Watch(Watching(), recorder).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(server_.watched.all().size(), 1u);
}

TEST_F(ClientTest, AStopEndsAWatchThatWaitsForTheNextEvent) {
  server_.on_watch = [](size_t, grpc::ServerContext& context, WatchWriter& writer) {
    writer.Write(Snapshot());
    // Silent until the client has gone: an event to nobody fails.
    while (!context.IsCancelled() && writer.Write(v1::WatchTrainingJobResponse())) {
    }
    return grpc::Status::CANCELLED;
  };
  std::stop_source stop;
  Recorder recorder;
  recorder.on_snapshot = [&stop] { stop.request_stop(); };
  const auto job = Connect().Watch(Watching(), recorder, stop.get_token());
  EXPECT_EQ(job.status().code(), absl::StatusCode::kCancelled) << job.status();
  EXPECT_THAT(std::string(job.status().message()), ::testing::HasSubstr("the job goes on"));
}

TEST_F(ClientTest, AStopEndsAPauseBetweenTwoTries) {
  server_.on_watch = [](size_t, grpc::ServerContext&, WatchWriter&) {
    return Exhausted(absl::Hours(1));  // this test would last as long if the stop were not heard
  };
  std::stop_source stop;
  on_retry_ = [&stop] { stop.request_stop(); };
  Recorder recorder;
  const auto job = Connect(absl::InfiniteDuration()).Watch(Watching(), recorder, stop.get_token());
  EXPECT_EQ(job.status().code(), absl::StatusCode::kCancelled) << job.status();
  EXPECT_THAT(pauses_, ElementsAre(absl::Hours(1)));
}

TEST_F(ClientTest, AWatchThatNeverSucceedsGivesUp) {
  server_.on_watch = [](size_t, grpc::ServerContext&, WatchWriter&) { return kUnavailable; };
  Recorder recorder;
  EXPECT_EQ(Connect(absl::Milliseconds(300)).Watch(Watching(), recorder).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_THAT(pauses_, Each(::testing::Le(absl::Milliseconds(300))));
}

TEST_F(ClientTest, WaitAsksAgainUntilTheJobHasEnded) {
  server_.on_wait = [](size_t call) {
    v1::TrainingJob job;
    if (call == 2) {
      job.mutable_end_time()->set_seconds(1);
    }
    return job;
  };
  const auto job = Connect().Wait("trainingJobs/a", absl::InfiniteDuration());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_TRUE(job->has_end_time());
  ASSERT_EQ(server_.waited.all().size(), 3u);
  // The server accepts up to ten minutes at once.
  EXPECT_EQ(server_.waited.all()[0].timeout().seconds(), 300);
}

TEST_F(ClientTest, WaitAnswersTheJobAsItIsWhenTheTimeIsOver) {
  server_.on_wait = [](size_t /*call*/) {
    v1::TrainingJob job;
    job.set_state(v1::TrainingJob::STATE_RUNNING);
    return job;
  };
  const auto job = Connect().Wait("trainingJobs/a", absl::ZeroDuration());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_FALSE(job->has_end_time());
  ASSERT_EQ(server_.waited.all().size(), 1u);
  EXPECT_EQ(server_.waited.all()[0].timeout().seconds(), 0);
}

TEST(JobName, IsMadeOfAnIdAndLeavesANameAlone) {
  EXPECT_EQ(JobName("a"), "trainingJobs/a");
  EXPECT_EQ(JobName("trainingJobs/a"), "trainingJobs/a");
}

}  // namespace
}  // namespace polyak::client
