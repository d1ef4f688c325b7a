// How near DENSE comes to what the machine does at best: cases that memory bounds against the
// bandwidth of simple loops, others against the operations that a core does on its registers
// (machine_limits.h). Cases and limits take turns; a share is that of one turn, and the median
// over turns counts. Seconds are those of the wall.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/base/parallel.h"
#include "server/engine/plans/dense.h"
#include "tests/bench/machine_limits.h"
#include "tests/bench/measure.h"
#include "tests/bench/networks.h"
#include "tests/bench/sweep_product.h"
#include "tests/support/problems.h"

namespace polyak::bench {
namespace {

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
    const double begin = WallSeconds();
    for (int k = 0; k < repeats; ++k) {
      work();
    }
    return (WallSeconds() - begin) / repeats;
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

// The product of a sweep.
void ShareOfSweepProduct(benchmark::State& state) {
  const auto size = static_cast<double>(state.range(0));
  SweepProduct product(state.range(0));
  Share(state, {1, 2 * SweepProduct::kTogether * size * size, 0, 0}, [&] {
    product.Compute(SweepProduct::kTogether);
    benchmark::ClobberMemory();
  });
}
BENCHMARK(ShareOfSweepProduct)
    ->Arg(100)
    ->Arg(200)
    ->Arg(1000)
    ->Iterations(1)
    ->Unit(benchmark::kSecond);

// Gaussian start: W is read once for what comes from above, and W and M are read and written once.
void ShareOfDeepLinear(benchmark::State& state) {
  engine::DeepLinearNetworkSpec spec = DeepLinear(state.range(0));
  spec.initialization = engine::DeepLinearInitialization::kGaussian;
  const double entries = 8 * static_cast<double>(spec.width) * static_cast<double>(spec.width);
  const Need need = {base::PartsThatPay(2), entries * (2 * (2 * 10 + 20) + 4), 8 * entries,
                     4 * 8 * entries};
  ShareOfIteration(state, need, InstanceOf(spec));
}
BENCHMARK(ShareOfDeepLinear)->Arg(2048)->Iterations(1)->Unit(benchmark::kSecond);

// Arguments: m, n, d. W and M are read and written once.
void ShareOfRelu(benchmark::State& state) {
  const engine::ReluNetworkSpec spec = ReluOnSphere(state.range(0), state.range(1), state.range(2));
  const double entries = static_cast<double>(spec.width) * static_cast<double>(state.range(2));
  const Need need = {base::PartsThatPay(2), entries * (4 * static_cast<double>(state.range(1)) + 4),
                     0, 4 * 8 * entries};
  ShareOfIteration(state, need, InstanceOf(spec));
}
BENCHMARK(ShareOfRelu)
    ->Args({16'384, 100, 64})
    ->Args({65'536, 100, 784})
    ->Iterations(1)
    ->Unit(benchmark::kSecond);

}  // namespace
}  // namespace polyak::bench
