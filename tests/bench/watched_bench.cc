// What a watcher costs the trainer: the worker thread's CPU time per iteration of one job, alone,
// watched by one lossless client in another process, and, as a control, beside two processes that
// have nothing to do with it and touch no memory: what the machine itself charges for busy
// neighbours. Runs come in threes, in rotating order.

#include "tests/bench/watched_bench.h"

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "client/cpp/client.h"
#include "server/base/check.h"
#include "tests/bench/measure.h"
#include "tests/bench/server_probe.h"
#include "tests/support/process.h"

namespace polyak::bench {
namespace {

constexpr int64_t kIterations = 5'000'000;

client::Client Connect(const std::string& address) {
  client::ClientOptions options;
  options.server = address;
  return client::Client(options);
}

struct Cost {
  double worker_seconds = 0;
  double wall_seconds = 0;
  double watch_seconds = 0;  // until the watcher had the last record
};

v1::CreateTrainingJobRequest Job() {
  v1::CreateTrainingJobRequest request;
  auto& quadratic = *request.mutable_spec()->mutable_quadratic();
  auto& spectrum = *quadratic.mutable_spectrum()->mutable_generated();
  spectrum.set_dimension(10);
  spectrum.set_condition_number(1e4);
  for (int k = 0; k < 10; ++k) {
    quadratic.add_linear_term(1);
  }
  request.mutable_spec()->mutable_optimizer()->mutable_polyak_momentum();
  request.mutable_spec()->mutable_stopping()->set_max_iterations(kIterations);
  return request;
}

enum Company : size_t { kAlone = 0, kWatched = 1, kBesideOthers = 2, kCompanies = 3 };

Cost RunOnce(Company company) {
  testing_support::Server server({"--workers=1"});
  client::Client client = Connect(server.address());
  std::vector<std::unique_ptr<testing_support::Process>> others;
  for (int k = 0; company == kBesideOthers && k < 2; ++k) {
    others.push_back(std::make_unique<testing_support::Process>(
        "/proc/self/exe", std::vector<std::string>{"--spin"}));
  }
  const double before = UseOfThreads(server.process().pid(), "trainer").seconds;
  const auto start = std::chrono::steady_clock::now();
  const auto since = [start] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const auto job = client.Submit(Job());
  POLYAK_CHECK(job.ok());
  Cost cost;
  if (company == kWatched) {
    testing_support::Process watcher("/proc/self/exe",
                                     {"--lossless-watch", server.address(), job->name()});
    const auto ended = client.Wait(job->name(), absl::Minutes(10));
    POLYAK_CHECK(ended.ok());
    cost.wall_seconds = since();
    cost.worker_seconds = UseOfThreads(server.process().pid(), "trainer").seconds - before;
    POLYAK_CHECK(watcher.Wait() == 0);
    cost.watch_seconds = since();
  } else {
    POLYAK_CHECK(client.Wait(job->name(), absl::Minutes(10)).ok());
    cost.wall_seconds = since();
    cost.worker_seconds = UseOfThreads(server.process().pid(), "trainer").seconds - before;
  }
  return cost;
}

void WatchedByAnotherProcess(benchmark::State& state) {
  std::vector<double> alone;
  std::vector<double> watched;
  std::vector<double> ratio;
  std::vector<double> control;
  std::vector<double> wall_ratio;
  std::vector<double> watch_rate;
  size_t first = 0;
  for (auto _ : state) {
    std::array<Cost, kCompanies> costs;
    for (size_t k = 0; k < kCompanies; ++k) {
      const auto company = static_cast<Company>((first + k) % kCompanies);
      costs[company] = RunOnce(company);
    }
    ++first;
    alone.push_back(costs[kAlone].worker_seconds / kIterations);
    watched.push_back(costs[kWatched].worker_seconds / kIterations);
    ratio.push_back(costs[kWatched].worker_seconds / costs[kAlone].worker_seconds);
    control.push_back(costs[kBesideOthers].worker_seconds / costs[kAlone].worker_seconds);
    wall_ratio.push_back(costs[kWatched].wall_seconds / costs[kAlone].wall_seconds);
    watch_rate.push_back(kIterations / costs[kWatched].watch_seconds);
  }
  state.counters["alone_cpu_s"] = Median(alone);
  state.counters["watched_cpu_s"] = Median(watched);
  state.counters["cpu_ratio"] = Median(ratio);
  state.counters["control_ratio"] = Median(control);
  state.counters["wall_ratio"] = Median(wall_ratio);
  state.counters["records_per_s"] = Median(watch_rate);
}

BENCHMARK(WatchedByAnotherProcess)->Iterations(11)->Unit(benchmark::kSecond)->UseRealTime();

// Counts; the columns' lengths and the order of iterations are checked.
class Counter : public client::WatchHandler {
 public:
  void OnIterations(const v1::IterationBatch& batch) override {
    for (const int64_t iteration : batch.iteration()) {
      in_order = in_order && iteration == count;
      ++count;
    }
    in_order = in_order && batch.loss_size() == batch.iteration_size();
  }
  int64_t count = 0;
  bool in_order = true;
};

}  // namespace

int Spin() {
  volatile double value = 1;
  while (true) {
    value = value * 1.0000001;
  }
}

int WatchLossless(const std::string& address, const std::string& job) {
  client::Client client = Connect(address);
  v1::WatchTrainingJobRequest request;
  request.set_name(job);
  Counter counter;
  const auto ended = client.Watch(request, counter);
  return ended.ok() && counter.in_order && counter.count == ended->summary().iterations() + 1 ? 0
                                                                                              : 1;
}

}  // namespace polyak::bench
