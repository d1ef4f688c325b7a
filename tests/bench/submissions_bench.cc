// Durable submissions a second through a whole server on a disk: one at a time, so that each has
// a sync of its own, and many at once, which share theirs.

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"
#include "grpcpp/grpcpp.h"
#include "polyak/v1/training_service.grpc.pb.h"
#include "server/base/check.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace polyak::bench {
namespace {

// One submission after another, until told to stop.
class Submitter {
 public:
  Submitter(v1::TrainingService::Stub& stub, std::atomic<int64_t>& done,
            const std::atomic<bool>& stop, std::latch& ended)
      : stub_(stub), done_(done), stop_(stop), ended_(ended) {
    auto& spectrum =
        *request_.mutable_spec()->mutable_quadratic()->mutable_spectrum()->mutable_generated();
    spectrum.set_dimension(10);
    spectrum.set_condition_number(100);
    request_.mutable_spec()->mutable_optimizer()->mutable_polyak_momentum();
    request_.mutable_spec()->mutable_stopping()->set_max_iterations(10);
  }

  void Next() {
    if (stop_) {
      ended_.count_down();
      return;
    }
    context_ = std::make_unique<grpc::ClientContext>();
    stub_.async()->CreateTrainingJob(context_.get(), &request_, &response_,
                                     [this](const grpc::Status& status) {
                                       POLYAK_CHECK(status.ok());
                                       ++done_;
                                       Next();
                                     });
  }

 private:
  v1::TrainingService::Stub& stub_;
  std::atomic<int64_t>& done_;
  const std::atomic<bool>& stop_;
  std::latch& ended_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::CreateTrainingJobRequest request_;
  v1::CreateTrainingJobResponse response_;
};

// Argument: submissions in flight. A worker runs the jobs meanwhile.
void DurableSubmissions(benchmark::State& state) {
  constexpr std::chrono::seconds kFor(5);
  const testing_support::TemporaryFolder folder;
  testing_support::Server server({"--workers=1", "--queue-capacity=1000000",
                                  "--data-dir=" + folder.path(), "--log-level=error"});
  const auto stub = v1::TrainingService::NewStub(
      grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  double submitted = 0;
  double seconds = 0;
  for (auto _ : state) {
    std::atomic<int64_t> done = 0;
    std::atomic<bool> stop = false;
    std::latch ended(state.range(0));
    std::vector<std::unique_ptr<Submitter>> submitters;
    const auto start = std::chrono::steady_clock::now();
    for (int64_t k = 0; k < state.range(0); ++k) {
      submitters.push_back(std::make_unique<Submitter>(*stub, done, stop, ended));
      submitters.back()->Next();
    }
    std::this_thread::sleep_for(kFor);
    submitted += static_cast<double>(done);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    stop = true;
    ended.wait();
  }
  state.counters["submissions_per_s"] = submitted / seconds;
}

BENCHMARK(DurableSubmissions)
    ->Arg(1)
    ->Arg(256)
    ->Iterations(1)
    ->Unit(benchmark::kSecond)
    ->UseRealTime();

}  // namespace
}  // namespace polyak::bench
