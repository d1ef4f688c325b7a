// What one iteration of the networks costs by DENSE, in passes over the weights, against the same
// recursion as it is written down: products of matrices by Eigen, the whole gradient, then the
// optimizer's update. Both take turns, so that a busy moment of the machine meets both; seconds are
// those of processor time, all threads.

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/base/check.h"
#include "server/engine/plans/dense.h"

namespace polyak::bench {
namespace {

struct Time {
  double wall = 0;
  double processor = 0;
};

Time Now() {
  const auto wall = std::chrono::steady_clock::now().time_since_epoch();
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return {std::chrono::duration<double>(wall).count(),
          static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec)};
}

template <typename Work>
Time Took(const Work& work) {
  const Time start = Now();
  work();
  const Time end = Now();
  return {end.wall - start.wall, end.processor - start.processor};
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// flops, bytes: of one iteration in passes, from memory and to it.
void Compare(benchmark::State& state, const engine::ProblemInstance& network, double flops,
             double bytes) {
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
      const Time here = Took(step);
      seconds.push_back(here.processor);
      wall.push_back(here.wall);
      eigen_seconds.push_back(Took(step_by_eigen).processor);
      ratios.push_back(eigen_seconds.back() / seconds.back());
    }
  }
  state.counters["passes_s"] = Median(seconds);
  state.counters["passes_wall_s"] = Median(wall);
  state.counters["eigen_s"] = Median(eigen_seconds);
  state.counters["eigen_over_passes"] = Median(ratios);
  state.counters["gflops"] = flops / Median(seconds) / 1e9;
  state.counters["gbytes"] = bytes / Median(seconds) / 1e9;
}

// L = 10, d_x = 20, d_y = 10, n = 50, Gaussian start: W is read twice, M once, both written.
void DenseDeepLinear(benchmark::State& state) {
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
  Compare(state, *network, entries * (2 * (2 * 10 + 20) + 4), 5 * 8 * entries);
}
BENCHMARK(DenseDeepLinear)->Arg(1024)->Arg(2048)->Iterations(1)->Unit(benchmark::kMillisecond);

// Arguments: m, n, d. W and M are read and written once.
void DenseRelu(benchmark::State& state) {
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
  Compare(state, *network, entries * (4 * static_cast<double>(state.range(1)) + 4),
          4 * 8 * entries);
}
BENCHMARK(DenseRelu)
    ->Args({16'384, 100, 64})
    ->Args({65'536, 100, 784})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace polyak::bench
