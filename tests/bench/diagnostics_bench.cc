// What diagnostics cost a run by a reduced plan: processor time of the process an iteration, whole
// runs without, with every iteration and with every hundredth diagnosed, in turns.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "server/base/check.h"
#include "server/engine/plans/plan.h"
#include "server/engine/trainer/trainer.h"
#include "tests/bench/measure.h"
#include "tests/bench/networks.h"

namespace polyak::bench {
namespace {

constexpr int64_t kIterations = 300;
constexpr std::array<int64_t, 3> kIntervals = {0, 1, 100};

class NoRows : public base::RowSink {
 public:
  void Append(std::span<const double> row) noexcept override {
    benchmark::DoNotOptimize(row.data());
  }
};

void Diagnose(benchmark::State& state, const engine::ProblemSpec& spec, int turns) {
  const engine::ProblemInstance problem = InstanceOf(spec);
  const auto theory =
      engine::Resolve(problem, engine::PolyakMomentumSpec{}, engine::Tuning::kTheorem);
  POLYAK_CHECK(theory.ok());
  const engine::Experiment experiment = {problem, theory->optimizer};
  const auto plan =
      engine::ChoosePlan({engine::ExecutionPlan::kReduced, kIterations}, spec, experiment);
  POLYAK_CHECK(plan.ok());
  engine::StoppingRule stopping;
  stopping.max_iterations = kIterations;
  const base::StopToken stop;
  std::array<std::vector<double>, kIntervals.size()> seconds;
  for (auto _ : state) {
    for (int turn = 0; turn < turns; ++turn) {
      for (size_t k = 0; k < kIntervals.size(); ++k) {
        auto stepper = plan->entry->make(experiment, {});
        POLYAK_CHECK(stepper.ok());
        NoRows rows;
        engine::Trainer trainer(experiment, *theory, stopping, *std::move(stepper), rows, stop,
                                kIntervals[k]);
        const double start = ProcessorSeconds();
        while (trainer.Advance(kIterations).running()) {
        }
        seconds[k].push_back((ProcessorSeconds() - start) / kIterations);
      }
    }
  }
  for (size_t k = 0; k < kIntervals.size(); ++k) {
    state.counters[absl::StrCat("interval_", kIntervals[k], "_s")] = Median(seconds[k]);
  }
}

void DiagnosedRelu(benchmark::State& state) { Diagnose(state, ReluOnSphere(65'536, 100, 784), 5); }

void DiagnosedDeepLinear(benchmark::State& state) { Diagnose(state, DeepLinear(1'000'000'000), 5); }

BENCHMARK(DiagnosedRelu)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(DiagnosedDeepLinear)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace polyak::bench
