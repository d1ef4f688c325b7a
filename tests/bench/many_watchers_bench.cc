// Five thousand watchers of one job: whether all of them get every record, what they cost the
// trainer (CPU time of its thread per iteration) and the server (memory). The job is queued behind
// another one until all watches are open. Runs come in fours, in rotating order: alone; watched;
// and two controls, in which as many watchers follow something else: stored records of another job
// of the same server, or of another server. What the second control costs is the machine's charge
// for busy neighbours, what the first one adds is the price of sharing a process, and what is left
// to the watched run is the watchers' own.

#include "tests/bench/many_watchers_bench.h"

#include <array>
#include <atomic>
#include <chrono>
#include <iostream>
#include <latch>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"
#include "client/cpp/client.h"
#include "grpcpp/grpcpp.h"
#include "server/base/check.h"
#include "tests/bench/measure.h"
#include "tests/bench/server_probe.h"
#include "tests/support/process.h"

namespace polyak::bench {
namespace {

constexpr int kWatchers = 5000;
constexpr int kWatchesPerConnection = 100;
constexpr int64_t kIterations = 20'000;

// Two jobs of about 10,000 iterations a second on one core, of short specs: every watch begins with
// the job, and 5,000 copies of a matrix would be all that is measured.

// Reads a matrix of 5 MB an iteration, more than a core's own cache holds: it lives on what all
// neighbours share.
v1::TrainingJobSpec LargeJob() {
  constexpr int kDimension = 800;
  v1::TrainingJobSpec spec;
  auto& data = *spec.mutable_quadratic()->mutable_least_squares()->mutable_dataset();
  data.mutable_synthetic()->set_examples(2 * kDimension);
  data.mutable_synthetic()->set_input_dimension(kDimension);
  spec.mutable_optimizer()->mutable_polyak_momentum();
  spec.mutable_stopping()->set_max_iterations(kIterations);
  return spec;
}

// Computes as long on some 300 kB, which stay in a core's own cache.
v1::TrainingJobSpec SmallJob() {
  v1::TrainingJobSpec spec;
  auto& network = *spec.mutable_relu_network();
  network.mutable_dataset()->mutable_synthetic()->set_examples(40);
  network.mutable_dataset()->mutable_synthetic()->set_input_dimension(16);
  network.set_width(256);
  spec.mutable_optimizer()->mutable_polyak_momentum();
  spec.mutable_stopping()->set_max_iterations(kIterations);
  return spec;
}

// d values, made in no time.
v1::TrainingJobSpec CheapJob(int64_t dimension, int64_t iterations) {
  v1::TrainingJobSpec spec;
  auto& spectrum = *spec.mutable_quadratic()->mutable_spectrum()->mutable_generated();
  spectrum.set_dimension(dimension);
  spectrum.set_condition_number(1e9);
  spec.mutable_optimizer()->mutable_gradient_descent();
  spec.mutable_stopping()->set_max_iterations(iterations);
  return spec;
}

v1::TrainingJobSpec EndlessJob() { return CheapJob(20'000, 100'000'000); }

// Ended at once; its watchers need minutes, and are killed before.
v1::TrainingJobSpec StoredJob() { return CheapJob(10, 1'000'000); }

client::Client Connect(const std::string& address) {
  client::ClientOptions options;
  options.server = address;
  return client::Client(options);
}

v1::TrainingJob Submit(client::Client& client, const v1::TrainingJobSpec& spec) {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = spec;
  const auto job = client.Submit(request);
  POLYAK_CHECK(job.ok());
  return *job;
}

v1::TrainingJob WaitForEnd(client::Client& client, const v1::TrainingJob& job) {
  const auto ended = client.Wait(job.name(), absl::Minutes(10));
  if (!ended.ok()) {
    std::cerr << "waiting for " << job.name() << ": " << ended.status() << std::endl;
  }
  POLYAK_CHECK(ended.ok() && ended->has_end_time());
  return *ended;
}

// Returns when all of them have their snapshot.
std::unique_ptr<testing_support::Process> StartWatchers(const testing_support::Server& server,
                                                        const v1::TrainingJob& job) {
  auto watchers = std::make_unique<testing_support::Process>(
      "/proc/self/exe", std::vector<std::string>{"--many-watches", server.address(), job.name(),
                                                 std::to_string(kWatchers)});
  POLYAK_CHECK(watchers->ReadLine() == "open");
  return watchers;
}

std::unique_ptr<testing_support::Process> StartWatchersOfStoredJob(
    const testing_support::Server& server) {
  client::Client client = Connect(server.address());
  const v1::TrainingJob job = WaitForEnd(client, Submit(client, StoredJob()));
  return StartWatchers(server, job);
}

std::vector<std::string> ServerFlags() { return {"--workers=1", "--max-watchers=6000"}; }

enum Company : size_t {
  kAlone = 0,
  kWatched = 1,
  kOtherJobWatched = 2,
  kOtherServerWatched = 3,
  kCompanies = 4
};

struct Cost {
  double worker_seconds = 0;  // of the trainer's thread
  double run_seconds = 0;
  double watch_seconds = 0;  // until all watchers had the last record
  double base_bytes = 0;     // resident, before the first watch
  double open_bytes = 0;     // resident, with all watches open and nothing to send
  double open_share = 0;     // of a processor, then, without the trainer's thread
  double peak_bytes = 0;
  int64_t preemptions = 0;  // of the trainer's thread
};

// What a server spends on watches that have nothing to get, as a share of one processor.
double ShareWithoutTrainer(pid_t server) {
  const auto other_seconds = [server] {
    return UseOfThreads(server, "").seconds - UseOfThreads(server, "trainer").seconds;
  };
  std::this_thread::sleep_for(std::chrono::seconds(1));  // the last CaughtUp are on their way
  const double before = other_seconds();
  const auto start = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(3));
  return (other_seconds() - before) /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The job's training time, and what its thread spent since `before`.
void TakeStock(pid_t server, const v1::TrainingJob& ended, const ThreadUse& before, Cost& cost) {
  const ThreadUse after = UseOfThreads(server, "trainer");
  cost.worker_seconds = after.seconds - before.seconds;
  cost.preemptions = after.preemptions - before.preemptions;
  const auto& time = ended.summary().training_time();
  cost.run_seconds = static_cast<double>(time.seconds()) + 1e-9 * time.nanos();
}

Cost RunWatched(const v1::TrainingJobSpec& spec) {
  testing_support::Server server(ServerFlags());
  client::Client client = Connect(server.address());
  const v1::TrainingJob blocker = Submit(client, EndlessJob());
  const v1::TrainingJob job = Submit(client, spec);
  Cost cost;
  const pid_t pid = server.process().pid();
  cost.base_bytes = ResidentBytes(pid);
  const auto watchers = StartWatchers(server, job);
  cost.open_bytes = ResidentBytes(pid);
  cost.open_share = ShareWithoutTrainer(pid);
  // From before the cancel, which a busy server answers late: a few ms of the other job.
  const ThreadUse before = UseOfThreads(pid, "trainer");
  const auto start = std::chrono::steady_clock::now();
  POLYAK_CHECK(client.Cancel(blocker.name()).ok());
  TakeStock(pid, WaitForEnd(client, job), before, cost);
  POLYAK_CHECK(watchers->Wait() == 0);
  cost.watch_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  cost.peak_bytes = PeakBytes(pid);
  return cost;
}

Cost RunUnwatched(const v1::TrainingJobSpec& spec, Company company) {
  testing_support::Server server(ServerFlags());
  std::optional<testing_support::Server> other;
  std::unique_ptr<testing_support::Process> watchers;
  if (company == kOtherJobWatched) {
    watchers = StartWatchersOfStoredJob(server);
  } else if (company == kOtherServerWatched) {
    watchers = StartWatchersOfStoredJob(other.emplace(ServerFlags()));
  }
  client::Client client = Connect(server.address());
  Cost cost;
  // Nothing runs: a job is prepared on other threads before it is accepted.
  const ThreadUse before = UseOfThreads(server.process().pid(), "trainer");
  const v1::TrainingJob ended = WaitForEnd(client, Submit(client, spec));
  TakeStock(server.process().pid(), ended, before, cost);
  return cost;
}

Cost RunOnce(const v1::TrainingJobSpec& spec, Company company) {
  return company == kWatched ? RunWatched(spec) : RunUnwatched(spec, company);
}

void ManyWatchers(benchmark::State& state, v1::TrainingJobSpec (*spec)()) {
  std::map<std::string, std::vector<double>> values;
  size_t first = 0;
  for (auto _ : state) {
    std::array<Cost, kCompanies> costs;
    for (size_t k = 0; k < kCompanies; ++k) {
      const auto company = static_cast<Company>((first + k) % kCompanies);
      costs[company] = RunOnce(spec(), company);
    }
    ++first;
    const Cost& alone = costs[kAlone];
    const Cost& watched = costs[kWatched];
    const Cost& other_job = costs[kOtherJobWatched];
    const Cost& other_server = costs[kOtherServerWatched];
    values["alone_records_per_s"].push_back(kIterations / alone.run_seconds);
    values["alone_cpu_s"].push_back(alone.worker_seconds / kIterations);
    values["watched_cpu_s"].push_back(watched.worker_seconds / kIterations);
    values["cpu_ratio"].push_back(watched.worker_seconds / alone.worker_seconds);
    values["other_job_ratio"].push_back(other_job.worker_seconds / alone.worker_seconds);
    values["other_server_ratio"].push_back(other_server.worker_seconds / alone.worker_seconds);
    values["over_other_job"].push_back(watched.worker_seconds / other_job.worker_seconds);
    values["over_other_server"].push_back(watched.worker_seconds / other_server.worker_seconds);
    values["wall_ratio"].push_back(watched.run_seconds / alone.run_seconds);
    values["other_job_wall_ratio"].push_back(other_job.run_seconds / alone.run_seconds);
    values["other_server_wall_ratio"].push_back(other_server.run_seconds / alone.run_seconds);
    values["preemptions"].push_back(static_cast<double>(watched.preemptions));
    values["other_server_preemptions"].push_back(static_cast<double>(other_server.preemptions));
    values["all_complete_s"].push_back(watched.watch_seconds);
    values["open_share"].push_back(watched.open_share);
    values["open_bytes_each"].push_back((watched.open_bytes - watched.base_bytes) / kWatchers);
    values["peak_bytes_each"].push_back((watched.peak_bytes - watched.base_bytes) / kWatchers);
  }
  for (auto& [name, of_each_round] : values) {
    state.counters[name] = Median(std::move(of_each_round));
  }
}

BENCHMARK_CAPTURE(ManyWatchers, LargeJob, LargeJob)
    ->Iterations(5)
    ->Unit(benchmark::kSecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(ManyWatchers, SmallJob, SmallJob)
    ->Iterations(5)
    ->Unit(benchmark::kSecond)
    ->UseRealTime();

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
