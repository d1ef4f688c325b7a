// What one iteration of the quadratic with d = 10 costs: Trainer::Advance, a registered plan, the
// server's own trace writer with all its columns, the rate estimator on; slices, Reserve
// and Publish included.

#include <chrono>
#include <memory>

#include "benchmark/benchmark.h"
#include "server/base/check.h"
#include "server/engine/data/built_in.h"
#include "server/engine/plans/plan.h"
#include "server/engine/problems/registry.h"
#include "server/engine/trainer/trainer.h"
#include "server/storage/memory_trace.h"

namespace polyak::bench {
namespace {

constexpr int64_t kIterations = 1'000'000;
constexpr int64_t kSlice = 65'536;

engine::QuadraticSpec Spectrum() {
  engine::QuadraticSpec spec;
  engine::GeneratedSpectrumSpec spectrum;
  spectrum.dimension = 10;
  spectrum.condition_number = 1e8;  // so that no run ends in numbers below the normal ones
  spec.hessian = spectrum;
  spec.linear_term = std::make_shared<const engine::Vector>(engine::Vector::Ones(10));
  return spec;
}

engine::QuadraticSpec Diabetes() {
  engine::QuadraticSpec spec;
  engine::DatasetSpec data;
  data.source = engine::FindBuiltInDataset("datasets/diabetes")->data;
  spec.hessian = engine::LeastSquaresSpec{data, 0};
  spec.initial_point = std::make_shared<const engine::Vector>(engine::Vector::Zero(10));
  return spec;
}

void TrainQuadratic(benchmark::State& state, const engine::QuadraticSpec& spec,
                    const engine::OptimizerSpec& method,
                    engine::ExecutionPlan asked = engine::ExecutionPlan::kDense) {
  const auto problem = engine::Instantiate(spec, engine::Seed{});
  POLYAK_CHECK(problem.ok());
  const auto theory = engine::Resolve(*problem, method, engine::Tuning::kTheorem);
  POLYAK_CHECK(theory.ok());
  const engine::Experiment experiment = {*problem, theory->optimizer};
  const auto plan = engine::ChoosePlan({asked, kIterations}, spec, experiment);
  POLYAK_CHECK(plan.ok());
  engine::StoppingRule stopping;
  stopping.max_iterations = kIterations;
  const base::StopToken stop;
  for (auto _ : state) {
    auto stepper = plan->entry->make(experiment, {});
    POLYAK_CHECK(stepper.ok());
    storage::MemoryTrace trace(engine::kTraceColumns);
    engine::Trainer trainer(experiment, *theory, stopping, *std::move(stepper), trace, stop);
    engine::Progress progress;
    const auto start = std::chrono::steady_clock::now();
    while (progress.running()) {
      trace.Reserve(kSlice);
      progress = trainer.Advance(kSlice);
      POLYAK_CHECK(trace.Publish(0).ok());
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(seconds.count());
    POLYAK_CHECK(trace.row_count() == kIterations + 1);
  }
  state.counters["s_per_iteration"] = benchmark::Counter(
      kIterations, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void GradientDescentOnASpectrum(benchmark::State& state) {
  TrainQuadratic(state, Spectrum(), engine::GradientDescentSpec{});
}
void PolyakOnASpectrum(benchmark::State& state) {
  TrainQuadratic(state, Spectrum(), engine::PolyakMomentumSpec{});
}
void NesterovOnASpectrum(benchmark::State& state) {
  TrainQuadratic(state, Spectrum(), engine::NesterovMomentumSpec{});
}
void PolyakOnDiabetes(benchmark::State& state) {
  TrainQuadratic(state, Diabetes(), engine::PolyakMomentumSpec{});
}
void PolyakOnASpectrumReduced(benchmark::State& state) {
  TrainQuadratic(state, Spectrum(), engine::PolyakMomentumSpec{}, engine::ExecutionPlan::kReduced);
}
void PolyakOnDiabetesReduced(benchmark::State& state) {
  TrainQuadratic(state, Diabetes(), engine::PolyakMomentumSpec{}, engine::ExecutionPlan::kReduced);
}

BENCHMARK(GradientDescentOnASpectrum)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(PolyakOnASpectrum)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(NesterovOnASpectrum)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(PolyakOnDiabetes)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(PolyakOnASpectrumReduced)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(PolyakOnDiabetesReduced)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace polyak::bench
