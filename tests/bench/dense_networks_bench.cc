// What one iteration of the networks costs by DENSE, in passes over the weights, against the same
// recursion as it is written down: products of matrices by Eigen, the whole gradient, then the
// optimizer's update. Both take turns, so that a busy moment of the machine meets both; seconds are
// those of processor time, all threads.

#include <cstdint>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/engine/plans/dense.h"
#include "tests/bench/measure.h"
#include "tests/bench/networks.h"

namespace polyak::bench {
namespace {

void Compare(benchmark::State& state, const engine::ProblemInstance& network) {
  constexpr int kTurns = 7;
  const engine::OptimizerSpec method = engine::PolyakMomentumSpec{1e-3, 0.9};
  const auto passes = engine::MakeDenseStepper({network, method}).value();
  const auto problem = engine::MakeProblem(network);
  const auto optimizer = engine::MakeOptimizer(method, problem->initial_point());
  engine::Vector gradient(problem->dimension());
  const auto step = [&] {
    benchmark::DoNotOptimize(passes->Observe());
    passes->Step();
  };
  const auto step_by_eigen = [&] {
    benchmark::DoNotOptimize(problem->Evaluate(optimizer->iterate(), &gradient));
    optimizer->Update(gradient);
  };
  step();
  step_by_eigen();
  std::vector<double> seconds;
  std::vector<double> wall;
  std::vector<double> eigen_seconds;
  std::vector<double> ratios;
  for (auto _ : state) {
    for (int turn = 0; turn < kTurns; ++turn) {
      const double start = ProcessorSeconds();
      const double wall_start = WallSeconds();
      step();
      wall.push_back(WallSeconds() - wall_start);
      const double between = ProcessorSeconds();
      seconds.push_back(between - start);
      step_by_eigen();
      eigen_seconds.push_back(ProcessorSeconds() - between);
      ratios.push_back(eigen_seconds.back() / seconds.back());
    }
  }
  state.counters["passes_s"] = Median(seconds);
  state.counters["passes_wall_s"] = Median(wall);
  state.counters["eigen_s"] = Median(eigen_seconds);
  state.counters["eigen_over_passes"] = Median(ratios);
}

void DenseDeepLinear(benchmark::State& state) {
  engine::DeepLinearNetworkSpec spec = DeepLinear(state.range(0));
  spec.initialization = engine::DeepLinearInitialization::kGaussian;
  Compare(state, InstanceOf(spec));
}
BENCHMARK(DenseDeepLinear)->Arg(1024)->Arg(2048)->Iterations(1)->Unit(benchmark::kMillisecond);

// Arguments: m, n, d.
void DenseRelu(benchmark::State& state) {
  Compare(state, InstanceOf(ReluOnSphere(state.range(0), state.range(1), state.range(2))));
}
BENCHMARK(DenseRelu)
    ->Args({16'384, 100, 64})
    ->Args({65'536, 100, 784})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace polyak::bench
