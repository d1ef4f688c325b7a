// How near DENSE comes to what the machine does at best: cases that memory bounds against the
// bandwidth of simple loops, others against the operations that a core does on its registers
// (machine_limits.h). Cases and limits take turns; a share is that of one turn, and the median
// over turns counts. Seconds are those of the wall.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/base/check.h"
#include "server/base/parallel.h"
#include "server/engine/linalg/tile_kernels.h"
#include "server/engine/plans/dense.h"
#include "tests/bench/machine_limits.h"
#include "tests/support/problems.h"

namespace polyak::bench {
namespace {

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// What one call of `work` needs at least.
struct Need {
  int threads;
  double operations;
  double bytes_read;     // and not written
  double bytes_updated;  // read and written: both count
};

void Share(benchmark::State& state, const Need& need, const std::function<void()>& work) {
  constexpr int kTurns = 9;
  constexpr double kSeconds = 0.1;  // of a turn at least
  const auto seconds_of = [&work](int repeats) {
    const auto begin = std::chrono::steady_clock::now();
    for (int k = 0; k < repeats; ++k) {
      work();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() /
           repeats;
  };
  work();
  const int repeats = static_cast<int>(kSeconds / seconds_of(1)) + 1;
  std::vector<double> seconds;
  std::vector<double> memory;
  std::vector<double> processor;
  for (auto _ : state) {
    for (int turn = 0; turn < kTurns; ++turn) {
      seconds.push_back(seconds_of(repeats));
      memory.push_back((need.bytes_read / ReadBytesPerSecond(need.threads) +
                        need.bytes_updated / UpdateBytesPerSecond(need.threads)) /
                       seconds.back());
      processor.push_back(need.operations / OperationsPerSecond(need.threads) / seconds.back());
    }
  }
  state.counters["threads"] = need.threads;
  state.counters["seconds"] = Median(seconds);
  state.counters["share_of_bandwidth"] = Median(memory);
  state.counters["share_of_operations"] = Median(processor);
}

std::unique_ptr<engine::Stepper> Stepper(const engine::ProblemInstance& problem) {
  return engine::MakeDenseStepper({problem, engine::PolyakMomentumSpec{1e-3, 0.9}}).value();
}

void ShareOfIteration(benchmark::State& state, const Need& need,
                      const engine::ProblemInstance& problem) {
  const auto stepper = Stepper(problem);
  Share(state, need, [&] {
    benchmark::DoNotOptimize(stepper->Observe());
    stepper->Step();
  });
}

// A quadratic with a full matrix: the matrix is read once.
void ShareOfMatrixVector(benchmark::State& state) {
  const Eigen::Index size = state.range(0);
  auto instance = std::make_shared<engine::QuadraticInstance>();
  // No method is to converge on it, so it need not be symmetric; zeros might share one page.
  instance->hessian =
      std::make_shared<const engine::Matrix>(1e-3 * testing_support::NormalEntries(1, size, size));
  instance->linear_term = engine::Vector::Zero(size);
  instance->initial_point = testing_support::NormalVector(2, size);
  instance->minimiser = engine::Vector::Zero(size);
  const double entries = static_cast<double>(size) * static_cast<double>(size);
  ShareOfIteration(state, {1, 2 * entries, 8 * entries, 0},
                   std::shared_ptr<const engine::QuadraticInstance>(instance));
}
BENCHMARK(ShareOfMatrixVector)->Arg(1000)->Arg(4000)->Iterations(1)->Unit(benchmark::kSecond);

// The product of a sweep of 64 jobs.
void ShareOfSweepProduct(benchmark::State& state) {
  constexpr int kTogether = 64;
  const Eigen::Index size = state.range(0);
  const engine::Matrix matrix = testing_support::NormalEntries(1, size, size);
  const engine::Matrix vectors = testing_support::NormalEntries(2, size, kTogether);
  engine::Matrix products(size, kTogether);
  std::vector<const double*> sources;
  std::vector<double*> places;
  for (int c = 0; c < kTogether; ++c) {
    sources.push_back(vectors.col(c).data());
    places.push_back(products.col(c).data());
  }
  const double operations = 2.0 * kTogether * static_cast<double>(size) * static_cast<double>(size);
  Share(state, {1, operations, 0, 0}, [&] {
    engine::WidestTileKernels().matrix_products(size, matrix.data(), kTogether, sources.data(),
                                                places.data());
    benchmark::ClobberMemory();
  });
}
BENCHMARK(ShareOfSweepProduct)
    ->Arg(100)
    ->Arg(200)
    ->Arg(1000)
    ->Iterations(1)
    ->Unit(benchmark::kSecond);

// L = 10, d_x = 20, d_y = 10, n = 50, Gaussian start: W is read once for what comes from above, and
// W and M are read and written once.
void ShareOfDeepLinear(benchmark::State& state) {
  engine::SyntheticDataSpec data;
  data.examples = 50;
  data.input_dimension = 20;
  data.output_dimension = 10;
  engine::DeepLinearNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = state.range(0);
  spec.depth = 10;
  spec.initialization = engine::DeepLinearInitialization::kGaussian;
  const auto network = engine::Instantiate(spec, engine::Seed{1});
  POLYAK_CHECK(network.ok());
  const double entries = 8 * static_cast<double>(spec.width) * static_cast<double>(spec.width);
  const Need need = {base::PartsThatPay(2), entries * (2 * (2 * 10 + 20) + 4), 8 * entries,
                     4 * 8 * entries};
  ShareOfIteration(state, need, *network);
}
BENCHMARK(ShareOfDeepLinear)->Arg(2048)->Iterations(1)->Unit(benchmark::kSecond);

// Arguments: m, n, d. W and M are read and written once.
void ShareOfRelu(benchmark::State& state) {
  engine::SyntheticDataSpec data;
  data.kind = engine::SyntheticKind::kUnitSphere;
  data.examples = state.range(1);
  data.input_dimension = state.range(2);
  engine::ReluNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = state.range(0);
  const auto network = engine::Instantiate(spec, engine::Seed{1});
  POLYAK_CHECK(network.ok());
  const double entries = static_cast<double>(spec.width) * static_cast<double>(state.range(2));
  const Need need = {base::PartsThatPay(2), entries * (4 * static_cast<double>(state.range(1)) + 4),
                     0, 4 * 8 * entries};
  ShareOfIteration(state, need, *network);
}
BENCHMARK(ShareOfRelu)
    ->Args({16'384, 100, 64})
    ->Args({65'536, 100, 784})
    ->Iterations(1)
    ->Unit(benchmark::kSecond);

}  // namespace
}  // namespace polyak::bench
