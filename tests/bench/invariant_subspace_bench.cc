// What one iteration of a deep linear network costs in its invariant subspaces, whatever its width,
// and by DENSE. The networks take turns, so that a busy moment of the machine meets all of them.

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/base/check.h"
#include "server/engine/plans/dense.h"
#include "server/engine/plans/invariant_subspace.h"
#include "server/engine/theory/theory.h"
#include "tests/bench/measure.h"
#include "tests/bench/networks.h"

namespace polyak::bench {
namespace {

// L = 10, d_x = 20, d_y = 10, n = 50, Polyak with the theorem's parameters.
engine::Experiment Network(int64_t width) {
  engine::DeepLinearNetworkSpec spec = DeepLinear(width);
  std::get<engine::SyntheticDataSpec>(spec.dataset.source).condition_number = 3;
  const engine::ProblemInstance instance = InstanceOf(spec);
  const auto theory =
      engine::Resolve(instance, engine::PolyakMomentumSpec{}, engine::Tuning::kTheorem);
  POLYAK_CHECK(theory.ok());
  return {instance, theory->optimizer};
}

double SecondsPerIteration(engine::Stepper& stepper, int iterations) {
  const double start = WallSeconds();
  for (int t = 0; t < iterations; ++t) {
    benchmark::DoNotOptimize(stepper.Observe());
    stepper.Step();
  }
  return (WallSeconds() - start) / iterations;
}

void DeepLinearInItsSubspaces(benchmark::State& state) {
  constexpr int kTurns = 101;
  constexpr int kIterations = 20;
  const auto narrow = engine::MakeInvariantSubspaceStepper(Network(100)).value();
  const auto wide = engine::MakeInvariantSubspaceStepper(Network(1'000'000'000)).value();
  std::vector<double> narrow_seconds;
  std::vector<double> wide_seconds;
  std::vector<double> ratios;
  for (auto _ : state) {
    for (int turn = 0; turn < kTurns; ++turn) {
      narrow_seconds.push_back(SecondsPerIteration(*narrow, kIterations));
      wide_seconds.push_back(SecondsPerIteration(*wide, kIterations));
      ratios.push_back(wide_seconds.back() / narrow_seconds.back());
    }
  }
  state.counters["width_100_s"] = Median(narrow_seconds);
  state.counters["width_1e9_s"] = Median(wide_seconds);
  state.counters["ratio"] = Median(ratios);
}
BENCHMARK(DeepLinearInItsSubspaces)->Iterations(1)->Unit(benchmark::kMillisecond);

// m = 2,048: the literal weights take 20 s to draw.
void DeepLinearAgainstDense(benchmark::State& state) {
  constexpr int kTurns = 11;
  constexpr int kIterations = 100;  // of the reduced plan, to one of DENSE
  const engine::Experiment network = Network(2048);
  const auto reduced = engine::MakeInvariantSubspaceStepper(network).value();
  const auto dense = engine::MakeDenseStepper(network).value();
  SecondsPerIteration(*dense, 1);
  std::vector<double> reduced_seconds;
  std::vector<double> dense_seconds;
  std::vector<double> ratios;
  for (auto _ : state) {
    for (int turn = 0; turn < kTurns; ++turn) {
      reduced_seconds.push_back(SecondsPerIteration(*reduced, kIterations));
      dense_seconds.push_back(SecondsPerIteration(*dense, 1));
      ratios.push_back(dense_seconds.back() / reduced_seconds.back());
    }
  }
  state.counters["reduced_s"] = Median(reduced_seconds);
  state.counters["dense_s"] = Median(dense_seconds);
  state.counters["dense_over_reduced"] = Median(ratios);
}
BENCHMARK(DeepLinearAgainstDense)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace polyak::bench
