// Five thousand watchers of one job: whether all of them get every record, what they cost the
// trainer (CPU time of its thread per iteration) and the server (memory). The job is queued behind
// another one until all watches are open. Runs come in pairs, with and without watchers.

#include "tests/bench/many_watchers_bench.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iostream>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"
#include "client/cpp/client.h"
#include "grpcpp/grpcpp.h"
#include "server/base/check.h"
#include "tests/bench/server_probe.h"
#include "tests/support/process.h"

namespace polyak::bench {
namespace {

constexpr int kWatchers = 5000;
constexpr int kWatchesPerConnection = 100;
constexpr int64_t kIterations = 20'000;

// A full matrix, from drawn data: about 10,000 iterations a second on one core. Its spec is short:
// every watch begins with the job, and 5,000 copies of a matrix would be all that is measured.
v1::TrainingJobSpec PacedJob() {
  constexpr int kDimension = 800;
  v1::TrainingJobSpec spec;
  auto& data = *spec.mutable_quadratic()->mutable_least_squares()->mutable_dataset();
  data.mutable_synthetic()->set_examples(2 * kDimension);
  data.mutable_synthetic()->set_input_dimension(kDimension);
  spec.mutable_optimizer()->mutable_polyak_momentum();
  spec.mutable_stopping()->set_max_iterations(kIterations);
  return spec;
}

v1::TrainingJobSpec EndlessJob() {
  v1::TrainingJobSpec spec;
  auto& spectrum = *spec.mutable_quadratic()->mutable_spectrum()->mutable_generated();
  spectrum.set_dimension(20'000);
  spectrum.set_condition_number(1e9);
  spec.mutable_optimizer()->mutable_gradient_descent();
  spec.mutable_stopping()->set_max_iterations(100'000'000);
  return spec;
}

v1::TrainingJob Submit(client::Client& client, const v1::TrainingJobSpec& spec) {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = spec;
  const auto job = client.Submit(request);
  POLYAK_CHECK(job.ok());
  return *job;
}

struct Cost {
  double worker_seconds = 0;  // of the trainer's thread
  double run_seconds = 0;
  double watch_seconds = 0;  // until all watchers had the last record
  double base_bytes = 0;     // resident, before the first watch
  double open_bytes = 0;     // resident, with all watches open and nothing to send
  double peak_bytes = 0;
};

Cost RunOnce(int watchers) {
  testing_support::Server server({"--workers=1", "--max-watchers=6000"});
  client::ClientOptions options;
  options.server = server.address();
  client::Client client(options);
  const v1::TrainingJob blocker = Submit(client, EndlessJob());
  const v1::TrainingJob job = Submit(client, PacedJob());
  Cost cost;
  const pid_t pid = server.process().pid();
  cost.base_bytes = ResidentBytes(pid);
  std::unique_ptr<testing_support::Process> others;
  if (watchers > 0) {
    others = std::make_unique<testing_support::Process>(
        "/proc/self/exe", std::vector<std::string>{"--many-watches", server.address(), job.name(),
                                                   std::to_string(watchers)});
    POLYAK_CHECK(others->ReadLine() == "open");
  }
  cost.open_bytes = ResidentBytes(pid);
  // Both from before the cancel, which a busy server answers late: a few ms of the other job.
  const double before = ThreadSeconds(pid, "trainer");
  const auto start = std::chrono::steady_clock::now();
  const auto since = [start] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  POLYAK_CHECK(client.Cancel(blocker.name()).ok());
  POLYAK_CHECK(client.Wait(job.name(), absl::Minutes(10))->has_end_time());
  cost.run_seconds = since();
  cost.worker_seconds = ThreadSeconds(pid, "trainer") - before;
  if (others != nullptr) {
    POLYAK_CHECK(others->Wait() == 0);
    cost.watch_seconds = since();
  }
  cost.peak_bytes = PeakBytes(pid);
  return cost;
}

void ManyWatchers(benchmark::State& state) {
  std::vector<double> ratio;
  std::vector<double> pace;
  std::vector<double> wall_ratio;
  std::vector<double> seconds;
  std::vector<double> open;
  std::vector<double> peak;
  bool watched_first = false;
  for (auto _ : state) {
    const Cost first = RunOnce(watched_first ? kWatchers : 0);
    const Cost second = RunOnce(watched_first ? 0 : kWatchers);
    const Cost& alone = watched_first ? second : first;
    const Cost& watched = watched_first ? first : second;
    watched_first = !watched_first;
    ratio.push_back(watched.worker_seconds / alone.worker_seconds);
    wall_ratio.push_back(watched.run_seconds / alone.run_seconds);
    pace.push_back(kIterations / alone.run_seconds);
    seconds.push_back(watched.watch_seconds);
    open.push_back((watched.open_bytes - watched.base_bytes) / kWatchers);
    peak.push_back((watched.peak_bytes - watched.base_bytes) / kWatchers);
  }
  state.counters["alone_records_per_s"] = Median(pace);
  state.counters["cpu_ratio"] = Median(ratio);
  state.counters["wall_ratio"] = Median(wall_ratio);
  state.counters["all_complete_s"] = Median(seconds);
  state.counters["open_bytes_each"] = Median(open);
  state.counters["peak_bytes_each"] = Median(peak);
}

BENCHMARK(ManyWatchers)->Iterations(3)->Unit(benchmark::kSecond)->UseRealTime();

// What all watches of one process share.
struct Watches {
  explicit Watches(int count) : open(count), ended(count) {}
  std::latch open;  // snapshots received
  std::latch ended;
  std::atomic<int> wrong = 0;
};

// One watch: reads to the end, checks that every record comes once, in order, and Terminal last.
class Watch : public grpc::ClientReadReactor<v1::WatchTrainingJobResponse> {
 public:
  Watch(v1::TrainingService::Stub& stub, const std::string& job, Watches& all) : all_(all) {
    request_.set_name(job);
    stub.async()->WatchTrainingJob(&context_, &request_, this);
    StartRead(&event_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    if (event_.has_snapshot()) {
      all_.open.count_down();
    }
    for (const int64_t iteration : event_.iterations().iteration()) {
      in_order_ = in_order_ && iteration == next_ && !terminal_;
      ++next_;
    }
    terminal_ = terminal_ || event_.has_terminal();
    StartRead(&event_);
  }

  void OnDone(const grpc::Status& status) override {
    if (!status.ok() || !in_order_ || !terminal_ || next_ != kIterations + 1) {
      ++all_.wrong;
    }
    all_.ended.count_down();
  }

 private:
  Watches& all_;
  grpc::ClientContext context_;
  v1::WatchTrainingJobRequest request_;
  v1::WatchTrainingJobResponse event_;
  int64_t next_ = 0;
  bool in_order_ = true;
  bool terminal_ = false;
};

}  // namespace

int WatchMany(const std::string& address, const std::string& job, int count) {
  Watches all(count);
  std::vector<std::unique_ptr<v1::TrainingService::Stub>> stubs;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int k = 0; k < count; ++k) {
    if (k % kWatchesPerConnection == 0) {
      grpc::ChannelArguments own_connection;
      own_connection.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs.push_back(v1::TrainingService::NewStub(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), own_connection)));
    }
    watches.push_back(std::make_unique<Watch>(*stubs.back(), job, all));
  }
  all.open.wait();
  std::cout << "open" << std::endl;
  all.ended.wait();
  return all.wrong == 0 ? 0 : 1;
}

}  // namespace polyak::bench
