// The promise of docs/watch.md, against a real polyakd: order, cursors, cuts, slow and many
// readers.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/integration/watch_support.h"
#include "tests/support/process.h"

namespace polyak {
namespace {

using ::polyak::testing_support::Server;
using ::testing::ElementsAre;

// One stream, read by the stub: every event as it came, and how the stream ended.
class Stream {
 public:
  Stream(const std::string& address, const v1::WatchTrainingJobRequest& request)
      : stub_(v1::TrainingService::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))),
        reader_(stub_->WatchTrainingJob(&context_, request)) {}
  ~Stream() {
    if (!finished_) {
      context_.TryCancel();
      Finish();
    }
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bool Read(v1::WatchTrainingJobResponse& event) { return reader_->Read(&event); }
  grpc::Status Finish() {
    v1::WatchTrainingJobResponse event;
    while (reader_->Read(&event)) {
    }
    finished_ = true;
    return reader_->Finish();
  }
  grpc::ClientContext& context() { return context_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::TrainingService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<v1::WatchTrainingJobResponse>> reader_;
  bool finished_ = false;
};

// A whole stream as letters (Snapshot, I for a batch, CaughtUp, Heartbeat, Terminal; repeated I
// once), its records joined.
struct Whole {
  std::string order;
  v1::IterationBatch records;
  std::vector<int64_t> caught_up;
  v1::TrainingJob terminal;
  grpc::Status status;
};

Whole ReadWhole(const std::string& address, const v1::WatchTrainingJobRequest& request) {
  Whole whole;
  Stream stream(address, request);
  v1::WatchTrainingJobResponse event;
  while (stream.Read(event)) {
    char letter = '?';
    if (event.has_snapshot()) {
      letter = 'S';
    } else if (event.has_iterations()) {
      letter = 'I';
      whole.records.MergeFrom(event.iterations());
    } else if (event.has_caught_up()) {
      letter = 'C';
      whole.caught_up.push_back(event.caught_up().iteration());
    } else if (event.has_heartbeat()) {
      letter = 'H';
    } else if (event.has_terminal()) {
      letter = 'T';
      whole.terminal = event.terminal().training_job();
    }
    if (letter != 'I' || whole.order.empty() || whole.order.back() != 'I') {
      whole.order += letter;
    }
  }
  whole.status = stream.Finish();
  return whole;
}

TEST(Watch, AnEndedJobIsSnapshotRecordsCaughtUpTerminalAndOk) {
  Server server;
  client::Client client = Connect(server.address());
  const v1::TrainingJob job = Ended(client, Request(Quadratic(5000)));
  const Whole whole = ReadWhole(server.address(), Watching(job.name()));
  EXPECT_EQ(whole.order, "SICT");
  EXPECT_TRUE(whole.status.ok()) << whole.status.error_message();
  EXPECT_THAT(whole.caught_up, ElementsAre(5000));
  ASSERT_EQ(whole.records.iteration_size(), 5001);
  for (int t = 0; t <= 5000; ++t) {
    ASSERT_EQ(whole.records.iteration(t), t);
  }
  EXPECT_EQ(whole.terminal.SerializeAsString(), client.Get(job.name())->SerializeAsString());
  EXPECT_EQ(whole.records.SerializeAsString(), ReadAll(client, job.name()).SerializeAsString());
}

TEST(Watch, AJobThatRunsIsFollowedToItsEnd) {
  Server server;
  client::Client client = Connect(server.address());
  const v1::TrainingJob job = Submit(client, Request(Quadratic(200'000)));
  const Whole whole = ReadWhole(server.address(), Watching(job.name()));
  EXPECT_TRUE(whole.status.ok()) << whole.status.error_message();
  EXPECT_EQ(whole.order.front(), 'S');
  EXPECT_EQ(whole.order.back(), 'T');
  EXPECT_EQ(std::count(whole.order.begin(), whole.order.end(), 'C'), 1);
  EXPECT_EQ(std::count(whole.order.begin(), whole.order.end(), 'T'), 1);
  ASSERT_EQ(whole.records.iteration_size(), 200'001);
  for (int t = 0; t <= 200'000; ++t) {
    ASSERT_EQ(whole.records.iteration(t), t);
  }
}

TEST(Watch, AQueuedJobHasSnapshotAndCaughtUpBeforeAnyRecord) {
  Server server({"--workers=1"});
  client::Client client = Connect(server.address());
  Submit(client, Request(kEndless, "running"));
  Submit(client, Request(Quadratic(10), "waiting"));
  Stream stream(server.address(), Watching("trainingJobs/waiting"));
  v1::WatchTrainingJobResponse event;
  ASSERT_TRUE(stream.Read(event));
  ASSERT_TRUE(event.has_snapshot());
  EXPECT_EQ(event.snapshot().training_job().state(), v1::TrainingJob::STATE_QUEUED);
  ASSERT_TRUE(stream.Read(event));
  ASSERT_TRUE(event.has_caught_up()) << event.DebugString();
  EXPECT_EQ(event.caught_up().iteration(), -1);
  // Only now does the way become free.
  ASSERT_TRUE(client.Cancel("trainingJobs/running").ok());
  ASSERT_TRUE(stream.Read(event));
  ASSERT_TRUE(event.has_iterations()) << event.DebugString();
  EXPECT_EQ(event.iterations().iteration(0), 0);
}

TEST(Watch, ACancelledQueuedJobEndsWithoutRecords) {
  Server server({"--workers=1"});
  client::Client client = Connect(server.address());
  Submit(client, Request(kEndless, "running"));
  Submit(client, Request(Quadratic(10), "waiting"));
  ASSERT_TRUE(client.Cancel("trainingJobs/waiting").ok());
  const Whole whole = ReadWhole(server.address(), Watching("trainingJobs/waiting"));
  EXPECT_EQ(whole.order, "SCT");
  EXPECT_EQ(whole.terminal.state(), v1::TrainingJob::STATE_CANCELLED);
  EXPECT_TRUE(client.Cancel("trainingJobs/running").ok());
}

TEST(Watch, ACursorOutsideTheJobIsRefused) {
  Server server;
  client::Client client = Connect(server.address());
  // Converges long before its 100,000 iterations.
  const v1::TrainingJob job =
      Ended(client, Request(R"pb(
              quadratic { spectrum { generated { dimension: 10 condition_number: 100 } } }
              optimizer { polyak_momentum {} }
              stopping { relative_loss: 1e-6 })pb"));
  const int64_t last = job.summary().iterations();
  const auto code = [&](int64_t after_iteration) {
    v1::WatchTrainingJobRequest request = Watching(job.name());
    request.set_after_iteration(after_iteration);
    const Whole whole = ReadWhole(server.address(), request);
    EXPECT_EQ(whole.order.empty(), !whole.status.ok());
    return whole.status.error_code();
  };
  EXPECT_EQ(code(-1), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(100'001), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(std::numeric_limits<int64_t>::max()), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(std::numeric_limits<int64_t>::min()), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(last + 1), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(code(100'000), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(code(last), grpc::StatusCode::OK);
  EXPECT_EQ(ReadWhole(server.address(), Watching("trainingJobs/none")).status.error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST(Watch, AnyStrideKeepsTheFirstRecordItsMultiplesAndTheLast) {
  Server server;
  client::Client client = Connect(server.address());
  const v1::TrainingJob job = Ended(client, Request(Quadratic(1000)));
  const auto iterations = [&](int64_t stride, std::optional<int64_t> after_iteration) {
    v1::WatchTrainingJobRequest request = Watching(job.name());
    request.set_stride(stride);
    if (after_iteration.has_value()) {
      request.set_after_iteration(*after_iteration);
    }
    const Whole whole = ReadWhole(server.address(), request);
    EXPECT_TRUE(whole.status.ok()) << whole.status.error_message();
    return std::vector<int64_t>(whole.records.iteration().begin(), whole.records.iteration().end());
  };
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(iterations(300, {}), ElementsAre(0, 300, 600, 900, 1000));
  EXPECT_THAT(iterations(500, {}), ElementsAre(0, 500, 1000));
  EXPECT_THAT(iterations(300, 300), ElementsAre(600, 900, 1000));
  EXPECT_THAT(iterations(300, 599), ElementsAre(600, 900, 1000));
  EXPECT_THAT(iterations(300, 1000), ElementsAre());
  EXPECT_THAT(iterations(kLargest, {}), ElementsAre(0, 1000));
  EXPECT_THAT(iterations(kLargest, 5), ElementsAre(1000));
  EXPECT_EQ(iterations(0, {}).size(), 1001u);
  v1::WatchTrainingJobRequest request = Watching(job.name());
  request.set_stride(-1);
  EXPECT_EQ(ReadWhole(server.address(), request).status.error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(Watch, ADivergedRunTravelsAsItIsAndHasNoBound) {
  Server server;
  client::Client client = Connect(server.address());
  const v1::TrainingJob job =
      Ended(client, Request(R"pb(
              quadratic { spectrum { explicit { eigenvalues: [ 1, 10 ] } } }
              optimizer { polyak_momentum { step_size: 1 momentum: 0.5 } })pb"));
  EXPECT_EQ(job.termination().reason(), v1::Termination::REASON_DIVERGED);
  const Whole whole = ReadWhole(server.address(), Watching(job.name()));
  const v1::IterationBatch& records = whole.records;
  const int last = records.iteration_size() - 1;
  ASSERT_GT(last, 0);
  // p_t = |[xi_t; xi_{t-1}]|, p_0 = sqrt 2 |xi_0|: above 1e12 p_0 at the last record, not before.
  const auto stacked = [&](int t) {
    return std::hypot(records.residual_norm(t), records.residual_norm(std::max(t - 1, 0)));
  };
  EXPECT_FALSE(stacked(last) <= 1e12 * stacked(0));
  EXPECT_LE(stacked(last - 1), 1e12 * stacked(0));
  for (const double bound : records.theory_bound()) {
    EXPECT_TRUE(std::isnan(bound));
  }
}

TEST(Watch, RecordsThatLeaveTheNumbersTravelAsThemselves) {
  Server server;
  client::Client client = Connect(server.address());
  // |1 - step_size lambda| is 1e200: the second residual is beyond the largest double.
  const v1::TrainingJob job = Ended(client, Request(R"pb(
                                      quadratic { spectrum { explicit { eigenvalues: [ 1, 10 ] } } }
                                      optimizer { gradient_descent { step_size: 1e200 } })pb"));
  EXPECT_EQ(job.termination().reason(), v1::Termination::REASON_DIVERGED);
  const Whole whole = ReadWhole(server.address(), Watching(job.name()));
  const int last = whole.records.iteration_size() - 1;
  EXPECT_FALSE(std::isfinite(whole.records.loss(last)));
  EXPECT_EQ(whole.records.SerializeAsString(), ReadAll(client, job.name()).SerializeAsString());
}

TEST(Watch, ASlowReaderMissesNothingAndStopsNoTrainer) {
  Server server;
  client::Client client = Connect(server.address());
  // 300,001 records of 36 bytes: far more than any window of the connection takes.
  const v1::TrainingJob job = Submit(client, Request(Quadratic(300'000)));
  Stream stream(server.address(), Watching(job.name()));
  v1::WatchTrainingJobResponse event;
  ASSERT_TRUE(stream.Read(event));
  // The job ends although its reader does not read.
  const auto ended = client.Wait(job.name(), absl::InfiniteDuration());
  ASSERT_TRUE(ended.ok()) << ended.status();
  v1::IterationBatch records;
  bool terminal = false;
  while (stream.Read(event)) {
    records.MergeFrom(event.iterations());
    terminal = event.has_terminal();
  }
  EXPECT_TRUE(terminal);
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(records.SerializeAsString(), ReadAll(client, job.name()).SerializeAsString());
}

TEST(Watch, AHundredWatchersOfOneJobSeeTheSameBytes) {
  Server server;
  client::Client client = Connect(server.address());
  const v1::TrainingJob job = Submit(client, Request(Quadratic(20'000)));
  std::vector<std::string> bytes(100);
  std::vector<std::thread> watchers;
  for (std::string& own : bytes) {
    watchers.emplace_back([&server, &job, &own] {
      own = ReadWhole(server.address(), Watching(job.name())).records.SerializeAsString();
    });
  }
  for (std::thread& watcher : watchers) {
    watcher.join();
  }
  const std::string expected = ReadAll(client, job.name()).SerializeAsString();
  EXPECT_GT(expected.size(), 20'000u * 32);
  for (const std::string& own : bytes) {
    EXPECT_TRUE(own == expected);
  }
}

}  // namespace
}  // namespace polyak
