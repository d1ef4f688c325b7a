// A sweep: 1,000 DENSE runs of one quadratic with a full matrix, d = 100, a grid over step size and
// momentum, 1,000 iterations each; one by one, and in step as a worker runs them. From the parsed
// spec to the last record, the server's own traces in memory included. The ways take turns.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/base/check.h"
#include "server/runner/prepare.h"
#include "server/runner/stepped_run.h"
#include "server/storage/memory_run_store.h"
#include "server/storage/memory_trace.h"
#include "tests/bench/measure.h"
#include "tests/bench/sweep_product.h"
#include "tests/support/problems.h"

namespace polyak::bench {
namespace {

constexpr int64_t kJobs = 1000;
constexpr int64_t kIterations = 1000;
constexpr Eigen::Index kDimension = 100;

std::vector<spec::ExperimentSpec> Grid() {
  engine::QuadraticSpec problem =
      testing_support::Rotated(testing_support::LogUniform(kDimension, 1e4), 1);
  problem.linear_term = testing_support::Share(testing_support::NormalVector(2, kDimension));
  std::vector<spec::ExperimentSpec> specs(kJobs);
  for (int64_t k = 0; k < kJobs; ++k) {
    spec::ExperimentSpec& spec = specs[static_cast<size_t>(k)];
    // Each job's own matrix, as parsed.
    problem.hessian = std::make_shared<const engine::Matrix>(
        *std::get<std::shared_ptr<const engine::Matrix>>(problem.hessian));
    spec.problem = problem;
    constexpr int64_t kStepSizes = 25;
    const int64_t momentum = k / kStepSizes;
    spec.optimizer = engine::PolyakMomentumSpec{0.05 * static_cast<double>(1 + k % kStepSizes),
                                                0.02 * static_cast<double>(momentum)};
    spec.plan = engine::ExecutionPlan::kDense;
    spec.stopping.max_iterations = kIterations;
  }
  return specs;
}

using Prepared = std::shared_ptr<const runner::PreparedJob>;

std::vector<Prepared> PrepareAll(const std::vector<spec::ExperimentSpec>& specs,
                                 runner::KnownProblems* known) {
  std::vector<Prepared> jobs;
  for (const spec::ExperimentSpec& spec : specs) {
    spec::Violations violations;
    jobs.push_back(runner::Prepare(spec, violations, known));
    POLYAK_CHECK(jobs.back() != nullptr);
  }
  return jobs;
}

// Runs these jobs `together` at a time. Returns the sum of their last losses, and checks that they
// have all their records.
double RunAll(const std::vector<Prepared>& jobs, size_t together) {
  const base::SystemClock clock;
  const base::StopToken stop;
  storage::MemoryRunStore store(engine::kTraceColumns);
  double losses = 0;
  for (size_t first = 0; first < jobs.size(); first += together) {
    const size_t count = std::min(together, jobs.size() - first);
    std::vector<std::unique_ptr<storage::MemoryTrace>> traces;
    std::vector<std::unique_ptr<runner::RunContext>> contexts;
    std::vector<std::unique_ptr<runner::SteppedRun>> runs;
    for (size_t k = 0; k < count; ++k) {
      traces.push_back(std::make_unique<storage::MemoryTrace>(engine::kTraceColumns));
      contexts.push_back(std::make_unique<runner::RunContext>(
          runner::RunContext{"a", store, *traces.back(), stop, stop, clock}));
      runs.push_back(std::make_unique<runner::SteppedRun>(*jobs[first + k], *contexts.back()));
    }
    std::vector<runner::SteppedRun*> active;
    do {
      active.clear();
      for (const auto& run : runs) {
        if (!run->ended()) {
          active.push_back(run.get());
        }
      }
      runner::AdvanceBySlice(active, clock);
    } while (!active.empty());
    for (const auto& trace : traces) {
      POLYAK_CHECK(trace->row_count() == kIterations + 1);
      losses += trace->Read(kIterations, 1, 1)->columns[engine::kLoss][0];
    }
  }
  return losses;
}

// Processor time, of one thread that works: other processes take none of it.
double SecondsSince(double start) { return ProcessorSeconds() - start; }

void SweepTogether(benchmark::State& state) {
  constexpr int kTurns = 5;
  const auto specs = Grid();
  std::vector<double> prepare_each;
  std::vector<double> prepare_shared;
  std::vector<double> run_alone;
  std::vector<double> run_together;
  std::vector<double> ratios;
  for (auto _ : state) {
    for (int turn = 0; turn < kTurns; ++turn) {
      double start = ProcessorSeconds();
      const auto alone = PrepareAll(specs, nullptr);
      prepare_each.push_back(SecondsSince(start));
      start = ProcessorSeconds();
      const double losses = RunAll(alone, 1);
      run_alone.push_back(SecondsSince(start));
      start = ProcessorSeconds();
      runner::KnownProblems known;
      const auto shared = PrepareAll(specs, &known);
      prepare_shared.push_back(SecondsSince(start));
      start = ProcessorSeconds();
      POLYAK_CHECK(RunAll(shared, runner::kGroupMax) == losses);
      run_together.push_back(SecondsSince(start));
      ratios.push_back((prepare_each.back() + run_alone.back()) /
                       (prepare_shared.back() + run_together.back()));
    }
  }
  state.counters["prepare_each_s"] = Median(prepare_each);
  state.counters["prepare_shared_s"] = Median(prepare_shared);
  state.counters["run_alone_s"] = Median(run_alone);
  state.counters["run_together_s"] = Median(run_together);
  state.counters["alone_over_together"] = Median(ratios);
}
BENCHMARK(SweepTogether)->Iterations(1)->Unit(benchmark::kSecond);

// The product of a matrix with one vector and with 64, beside Eigen's with one.
void MatrixProducts(benchmark::State& state) {
  constexpr int kTurns = 101;
  const int64_t size = state.range(0);
  SweepProduct product(size);
  const auto repeats =
      static_cast<int>(std::max<int64_t>(1, 20'000'000 / (size * size * SweepProduct::kTogether)));
  const auto time = [&](const auto& compute) {
    const double start = ProcessorSeconds();
    for (int k = 0; k < repeats; ++k) {
      compute();
      benchmark::ClobberMemory();
    }
    return SecondsSince(start) / repeats;
  };
  std::vector<double> eigen;
  std::vector<double> one;
  std::vector<double> many;
  std::vector<double> one_ratios;
  std::vector<double> many_ratios;
  for (auto _ : state) {
    for (int turn = 0; turn < kTurns; ++turn) {
      eigen.push_back(time([&] { product.ComputeByEigen(); }));
      one.push_back(time([&] { product.Compute(1); }));
      many.push_back(time([&] { product.Compute(SweepProduct::kTogether); }) /
                     SweepProduct::kTogether);
      one_ratios.push_back(eigen.back() / one.back());
      many_ratios.push_back(eigen.back() / many.back());
    }
  }
  state.counters["eigen_s"] = Median(eigen);
  state.counters["one_s"] = Median(one);
  state.counters["each_of_64_s"] = Median(many);
  state.counters["eigen_over_one"] = Median(one_ratios);
  state.counters["eigen_over_each_of_64"] = Median(many_ratios);
}
BENCHMARK(MatrixProducts)->Arg(10)->Arg(100)->Arg(1000)->Iterations(1);

}  // namespace
}  // namespace polyak::bench
