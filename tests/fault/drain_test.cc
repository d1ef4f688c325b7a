// SIGTERM while 200 watches are open, a quarter of them stuck, and jobs run, 64 of them in step,
// and wait: the server ends with code 0, tells the watchers to come again, and the next one goes on
// with every job.
//
//   POLYAK_DRAINS=100 build/release/bin/polyak_fault_drain_test

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/base/mutex.h"
#include "tests/fault/durable_server.h"

namespace polyak {
namespace {

constexpr int kWatches = 200;
constexpr int kStuck = 50;
constexpr int kJobs = 32;
constexpr int kSweep = 128;  // of which one of two workers takes 64 at once

constexpr char kEndless[] =
    "quadratic { spectrum { generated { dimension: 5000 condition_number: 1e8 } } } "
    "optimizer { gradient_descent {} } stopping { max_iterations: 1000000000 }";

// Reads until the stream ends, or only the first event. The mutex shows ThreadSanitizer the order
// of gRPC's calls (docs/decisions/thread-sanitizer.md).
class Watch : public grpc::ClientReadReactor<v1::WatchTrainingJobResponse> {
 public:
  Watch(v1::TrainingService::Stub& stub, const std::string& job, bool stuck, std::latch& open,
        std::latch& ended)
      : stuck_(stuck), open_(open), ended_(ended) {
    const base::MutexLock lock(&mutex_);
    request_.set_name(job);
    stub.async()->WatchTrainingJob(&context_, &request_, this);
    StartRead(&event_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    const base::MutexLock lock(&mutex_);
    if (!ok) {
      return;
    }
    if (event_.has_snapshot()) {
      open_.count_down();
    }
    terminal_ = terminal_ || event_.has_terminal();
    if (!stuck_) {
      StartRead(&event_);
    }
  }
  void OnDone(const grpc::Status& end) override {
    {
      const base::MutexLock lock(&mutex_);
      status_ = end;
    }
    ended_.count_down();
  }
  void Cancel() { context_.TryCancel(); }

  bool terminal() const {
    const base::MutexLock lock(&mutex_);
    return terminal_;
  }
  grpc::Status status() const {
    const base::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  const bool stuck_;
  std::latch& open_;
  std::latch& ended_;
  grpc::ClientContext context_;
  v1::WatchTrainingJobRequest request_;
  v1::WatchTrainingJobResponse event_;
  mutable base::Mutex mutex_;
  bool terminal_ = false;
  grpc::Status status_;
};

client::Client Connect(const DurableServer& server) {
  client::ClientOptions options;
  options.server = server.address();
  return client::Client(options);
}

// Endless as well, by DENSE, of one matrix.
v1::TrainingJobSpec OfMatrix(int k) {
  constexpr int kSize = 100;
  v1::TrainingJobSpec spec;
  v1::Matrix& matrix = *spec.mutable_quadratic()->mutable_matrix();
  matrix.set_rows(kSize);
  matrix.set_cols(kSize);
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      matrix.add_values(i == j ? 2.0 : (std::abs(i - j) == 1 ? -1.0 : 0.0));
    }
  }
  spec.set_plan(v1::EXECUTION_PLAN_DENSE);
  spec.mutable_optimizer()->mutable_gradient_descent()->set_step_size(0.001 + 0.0001 * k);
  spec.mutable_stopping()->set_max_iterations(1'000'000'000);
  return spec;
}

void Submit(client::Client& client, const std::string& id, const v1::TrainingJobSpec& spec) {
  v1::CreateTrainingJobRequest request;
  request.set_training_job_id(id);
  *request.mutable_spec() = spec;
  const auto job = client.Submit(request);
  ASSERT_TRUE(job.ok()) << job.status();
}

// Two run, job-0 and a blocker; when it makes way, half of the sweep goes on in step, and the other
// jobs wait.
void SubmitJobs(client::Client& client) {
  v1::TrainingJobSpec endless;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kEndless, &endless));
  Submit(client, "job-0", endless);
  Submit(client, "blocker", endless);
  for (int k = 0; k < kSweep; ++k) {
    Submit(client, "sweep-" + std::to_string(k), OfMatrix(k));
  }
  for (int k = 1; k < kJobs; ++k) {
    Submit(client, "job-" + std::to_string(k), endless);
  }
  ASSERT_TRUE(client.Cancel("trainingJobs/blocker").ok());
}

void WaitForRecords(client::Client& client, const std::string& id, int64_t count) {
  v1::ReadIterationsRequest request;
  request.set_name("trainingJobs/" + id);
  request.set_after_iteration(count);
  request.set_max_records(1);
  for (bool there = false; !there; absl::SleepFor(absl::Milliseconds(50))) {
    const auto read = client.ReadIterations(request);
    ASSERT_TRUE(read.ok()) << read.status();
    there = read->iterations().iteration_size() > 0;
  }
}

// Drains a server under watch: the stuck ones are at the job that runs. Returns the seconds from
// the signal to its end.
double Drain(DurableServer& server) {
  std::latch open(kWatches);
  std::latch ended(kWatches);
  std::vector<std::unique_ptr<v1::TrainingService::Stub>> stubs;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int k = 0; k < kWatches; ++k) {
    if (k % 50 == 0) {
      grpc::ChannelArguments own_connection;
      own_connection.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      // Else the windows grow, and gRPC takes everything for a reader who takes nothing.
      own_connection.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
      stubs.push_back(v1::TrainingService::NewStub(grpc::CreateCustomChannel(
          server.address(), grpc::InsecureChannelCredentials(), own_connection)));
    }
    watches.push_back(std::make_unique<Watch>(
        *stubs.back(), "trainingJobs/job-" + std::to_string(k < kStuck ? 0 : k % kJobs), k < kStuck,
        open, ended));
  }
  open.wait();
  absl::SleepFor(absl::Milliseconds(200));  // for the connections of the stuck ones to fill
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(server.Stop(), 0) << server.process().Errors();
// With a sanitizer a second is not always enough for what ends by itself.
#if !defined(POLYAK_THREAD_SANITIZER) && !defined(__SANITIZE_ADDRESS__)
  EXPECT_THAT(server.process().Errors(), ::testing::Not(::testing::HasSubstr("without waiting")));
#endif
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const auto& watch : watches) {
    watch->Cancel();  // the stuck ones never read what is there, nor the end behind it
  }
  ended.wait();
  for (int k = 0; k < kWatches; ++k) {
    EXPECT_FALSE(watches[static_cast<size_t>(k)]->terminal());
    if (k >= kStuck) {
      EXPECT_EQ(watches[static_cast<size_t>(k)]->status().error_code(),
                grpc::StatusCode::UNAVAILABLE)
          << watches[static_cast<size_t>(k)]->status().error_message();
    }
  }
  return seconds;
}

TEST(Drain, EndsUnderManyWatchesAndLosesNoJob) {
  const int drains = CountFromEnvironment("POLYAK_DRAINS", 2);
  DurableServer server({"--workers=2", "--log-level=warning"});
  client::Client client = Connect(server);
  SubmitJobs(client);
  WaitForRecords(client, "job-0", 200'000);  // more than a connection takes up for a stuck one
  WaitForRecords(client, "sweep-63", 100);
  double longest = 0;
  for (int k = 0; k < drains; ++k) {
    longest = std::max(longest, Drain(server));
    server.Start();
  }
  std::cout << drains << " drains with " << kWatches << " watches, " << kStuck
            << " of them stuck, and " << kJobs + kSweep
            << " jobs, 64 of them in step: the longest took " << longest << " s\n";
  for (int k = 0; k < kJobs + kSweep; ++k) {
    const auto job = client.Get(k < kJobs ? "trainingJobs/job-" + std::to_string(k)
                                          : "trainingJobs/sweep-" + std::to_string(k - kJobs));
    ASSERT_TRUE(job.ok()) << job.status();
    EXPECT_FALSE(job->has_end_time());
  }
}

}  // namespace
}  // namespace polyak
