// How fast records come to one lossless watcher in another process while the job runs at full
// speed, against a bare gRPC stream: a server that does nothing but write the same messages, which
// lie in its memory, to a client that reads them with gRPC's stub. As a control the bare stream
// runs beside a busy process as well, as the watched one does beside its trainer; and the speed of
// the training itself is told, since nothing comes faster. Runs come in threes, in rotating order.
// The shares by processor time are without the trainer's.

#include "tests/bench/stream_bench.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "client/cpp/client.h"
#include "polyak/v1/training_service.grpc.pb.h"
#include "server/base/check.h"
#include "tests/bench/measure.h"
#include "tests/bench/server_probe.h"
#include "tests/support/process.h"

namespace polyak::bench {
namespace {

constexpr int64_t kIterations = 10'000'000;
// As many as the server puts into a message.
constexpr int64_t kBatchRecords = 900;

using Event = v1::WatchTrainingJobResponse;

std::vector<Event> MakeEvents(int64_t records) {
  std::vector<Event> events(static_cast<size_t>((records + kBatchRecords - 1) / kBatchRecords));
  int64_t iteration = 0;
  for (Event& event : events) {
    auto& batch = *event.mutable_iterations();
    const int64_t end = std::min(iteration + kBatchRecords, records);
    for (; iteration < end; ++iteration) {
      batch.add_iteration(iteration);
      const double value = 1 / (1 + static_cast<double>(iteration));
      batch.add_loss(value * value);
      batch.add_residual_norm(value);
      batch.add_rate_estimate(1 - value);
      batch.add_theory_bound(2 * value);
    }
  }
  return events;
}

class BareReactor : public grpc::ServerWriteReactor<Event> {
 public:
  explicit BareReactor(const std::vector<Event>& events) : events_(events) { Write(); }
  void OnWriteDone(bool ok) override { ok ? Write() : Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  void Write() {
    if (next_ == events_.size()) {
      Finish(grpc::Status::OK);
    } else {
      StartWrite(&events_[next_++]);
    }
  }
  const std::vector<Event>& events_;
  size_t next_ = 0;
};

class BareService : public v1::TrainingService::CallbackService {
 public:
  explicit BareService(int64_t records) : events_(MakeEvents(records)) {}
  grpc::ServerWriteReactor<Event>* WatchTrainingJob(
      grpc::CallbackServerContext* /*context*/,
      const v1::WatchTrainingJobRequest* /*request*/) override {
    return new BareReactor(events_);
  }

 private:
  const std::vector<Event> events_;
};

// Records, from the first message of them on.
class Counter : public client::WatchHandler {
 public:
  void OnIterations(const v1::IterationBatch& batch) override {
    if (count_ == 0) {
      start_ = Clock::now();
      used_at_start_ = ProcessorSeconds();
      first_batch_ = batch.iteration_size();
    }
    for (const int64_t iteration : batch.iteration()) {
      in_order_ = in_order_ && iteration == count_;
      ++count_;
    }
    in_order_ = in_order_ && batch.theory_bound_size() == batch.iteration_size();
    end_ = Clock::now();
  }
  bool Print() const {
    std::cout << count_ - first_batch_ << ' '
              << std::chrono::duration<double>(end_ - start_).count() << ' '
              << ProcessorSeconds() - used_at_start_ << std::endl;
    return in_order_ && count_ == kIterations + 1;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_;
  Clock::time_point end_;
  double used_at_start_ = 0;
  int64_t first_batch_ = 0;
  int64_t count_ = 0;
  bool in_order_ = true;
};

bool CountByStub(const std::string& address, const v1::WatchTrainingJobRequest& request,
                 Counter& counter) {
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto stub = v1::TrainingService::NewStub(channel);
  grpc::ClientContext context;
  const auto reader = stub->WatchTrainingJob(&context, request);
  Event event;
  while (reader->Read(&event)) {
    if (event.has_iterations()) {
      counter.OnIterations(event.iterations());
    }
  }
  return reader->Finish().ok();
}

bool CountByLibrary(const std::string& address, const v1::WatchTrainingJobRequest& request,
                    Counter& counter) {
  client::ClientOptions options;
  options.server = address;
  client::Client client(options);
  return client.Watch(request, counter).ok();
}

struct Speed {
  double records_per_second = 0;    // at the client
  double processor_per_record = 0;  // of client and server, the trainer aside
  double trained_per_second = 0;    // from the job's start to its end
};

// Watches it to its end in a process of its own.
//   server: whose threads' use counts, but for the trainer's.
Speed Measure(pid_t server, const std::string& address, const std::string& job,
              const std::string& client) {
  const auto used = [server] {
    return UseOfThreads(server, "").seconds - UseOfThreads(server, "trainer").seconds;
  };
  const double before = used();
  testing_support::Process watcher("/proc/self/exe", {"--count-records", address, job, client});
  double records = 0;
  double seconds = 0;
  double processor = 0;
  std::istringstream(watcher.ReadLine()) >> records >> seconds >> processor;
  POLYAK_CHECK(watcher.Wait() == 0);
  return {records / seconds, (processor + used() - before) / records};
}

v1::CreateTrainingJobRequest Job() {
  v1::CreateTrainingJobRequest request;
  auto& quadratic = *request.mutable_spec()->mutable_quadratic();
  auto& spectrum = *quadratic.mutable_spectrum()->mutable_generated();
  spectrum.set_dimension(10);
  spectrum.set_condition_number(1e8);  // so that the bound stays above 0
  for (int k = 0; k < 10; ++k) {
    quadratic.add_linear_term(1);
  }
  request.mutable_spec()->mutable_optimizer()->mutable_polyak_momentum();
  request.mutable_spec()->mutable_stopping()->set_max_iterations(kIterations);
  return request;
}

double Seconds(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + 1e-9 * time.nanos();
}

Speed Watched() {
  testing_support::Server server({"--workers=1"});
  client::ClientOptions options;
  options.server = server.address();
  client::Client client(options);
  const auto job = client.Submit(Job());
  POLYAK_CHECK(job.ok());
  Speed speed = Measure(server.process().pid(), server.address(), job->name(), "library");
  const auto ended = client.Wait(job->name(), absl::Minutes(10));
  POLYAK_CHECK(ended.ok());
  speed.trained_per_second =
      kIterations / (Seconds(ended->end_time()) - Seconds(ended->start_time()));
  return speed;
}

Speed Bare() {
  testing_support::Process server("/proc/self/exe",
                                  {"--bare-stream", std::to_string(kIterations + 1)});
  const std::string address = server.ReadLine();
  return Measure(server.pid(), address, "trainingJobs/bare", "stub");
}

Speed BareBesideOther() {
  const testing_support::Process other("/proc/self/exe", {"--spin"});
  return Bare();
}

void WatchedAgainstBareStream(benchmark::State& state) {
  const std::array<Speed (*)(), 3> kinds = {Watched, Bare, BareBesideOther};
  std::array<std::vector<double>, 3> rates;
  std::vector<double> trained;
  std::vector<double> share;
  std::vector<double> share_beside;
  std::vector<double> processor_share;
  size_t first = 0;
  for (auto _ : state) {
    std::array<Speed, 3> speeds;
    for (size_t k = 0; k < kinds.size(); ++k) {
      const size_t kind = (first + k) % kinds.size();
      speeds[kind] = kinds[kind]();
      rates[kind].push_back(speeds[kind].records_per_second);
    }
    ++first;
    const auto& [watched, bare, beside] = speeds;
    trained.push_back(watched.trained_per_second);
    share.push_back(watched.records_per_second / bare.records_per_second);
    share_beside.push_back(watched.records_per_second / beside.records_per_second);
    processor_share.push_back(bare.processor_per_record / watched.processor_per_record);
  }
  state.counters["watched_per_s"] = Median(rates[0]);
  state.counters["bare_per_s"] = Median(rates[1]);
  state.counters["bare_beside_other_per_s"] = Median(rates[2]);
  state.counters["trained_per_s"] = Median(trained);
  state.counters["share"] = Median(share);
  state.counters["share_beside_other"] = Median(share_beside);
  state.counters["processor_share"] = Median(processor_share);
}

BENCHMARK(WatchedAgainstBareStream)->Iterations(9)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace

int ServeBareStream(int64_t records) {
  BareService service(records);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  POLYAK_CHECK(server != nullptr);
  std::cout << "127.0.0.1:" << port << std::endl;
  while (true) {
    pause();
  }
}

int CountRecords(const std::string& address, const std::string& job, bool by_library) {
  v1::WatchTrainingJobRequest request;
  request.set_name(job);
  Counter counter;
  const bool ended = by_library ? CountByLibrary(address, request, counter)
                                : CountByStub(address, request, counter);
  return counter.Print() && ended ? 0 : 1;
}

}  // namespace polyak::bench
