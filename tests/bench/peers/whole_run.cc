#include "tests/bench/peers/whole_run.h"

#include <time.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/check.h"
#include "server/storage/memory_trace.h"

namespace polyak::bench {
namespace {

// Of the wall and of all threads of this process.
struct Time {
  double wall = 0;
  double processor = 0;
  static Time Now() {
    const auto wall = std::chrono::steady_clock::now().time_since_epoch();
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return {std::chrono::duration<double>(wall).count(),
            static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec)};
  }
  // "[wall, processor]", seconds since `start`.
  std::string Since(const Time& start) const {
    return absl::StrFormat("[%.9g, %.9g]", wall - start.wall, processor - start.processor);
  }
};

// Whether a run of so many iterations tells the loss of that one.
bool IsTold(int64_t iteration, int64_t iterations) {
  return iteration <= 1000 || iteration == iterations || (iteration & (iteration - 1)) == 0;
}

std::string Losses(const storage::MemoryTrace& trace) {
  const int64_t iterations = trace.row_count() - 1;
  std::string losses;
  for (int64_t t = 0; t <= iterations; ++t) {
    if (IsTold(t, iterations)) {
      const auto row = trace.Read(t, 1, 1);
      POLYAK_CHECK(row.ok());
      absl::StrAppend(&losses, t == 0 ? "" : ", ",
                      absl::StrFormat("[%d, %.17g]", t, row->columns[engine::kLoss][0]));
    }
  }
  return losses;
}

// As a job is run: prepared from its spec, trained in slices into a trace.
std::string Run(const spec::ExperimentSpec& spec) {
  constexpr int64_t kSlice = 65'536;
  const Time start = Time::Now();
  const auto job = Prepared(spec);
  auto made = job->plan.entry->make(job->experiment, {});
  POLYAK_CHECK(made.ok());
  storage::MemoryTrace trace(engine::kTraceColumns);
  const base::StopToken stop;
  engine::Trainer trainer(job->experiment, job->theory, job->spec.stopping, *std::move(made), trace,
                          stop);
  const Time prepared = Time::Now();
  engine::Progress progress;
  while (progress.running()) {
    trace.Reserve(kSlice);
    progress = trainer.Advance(kSlice);
    POLYAK_CHECK(trace.Publish(0).ok());
  }
  const Time ended = Time::Now();
  POLYAK_CHECK(trace.row_count() == spec.stopping.max_iterations + 1);
  const double flipped = trainer.summary().flipped_share;
  return absl::StrFormat(
      R"({"plan": "%s", "prepare": %s, "train": %s, "losses": [%s], "flipped": %s})",
      std::string{job->plan.entry->name}, prepared.Since(start), ended.Since(prepared),
      Losses(trace), std::isnan(flipped) ? "null" : absl::StrCat(flipped));
}

}  // namespace

spec::ExperimentSpec PolyakRun(engine::ProblemSpec problem, engine::ExecutionPlan plan,
                               int64_t iterations) {
  spec::ExperimentSpec spec;
  spec.problem = std::move(problem);
  spec.optimizer = engine::PolyakMomentumSpec{};
  spec.stopping.max_iterations = iterations;
  spec.plan = plan;
  return spec;
}

std::shared_ptr<const runner::PreparedJob> Prepared(const spec::ExperimentSpec& spec) {
  spec::Violations violations;
  auto job = runner::Prepare(spec, violations);
  POLYAK_CHECK(job != nullptr);
  return job;
}

void WriteValues(const std::string& path, const Eigen::Ref<const engine::Matrix>& values) {
  std::ofstream file(path, std::ios::binary | std::ios::app);
  for (Eigen::Index j = 0; j < values.cols(); ++j) {
    file.write(reinterpret_cast<const char*>(values.col(j).data()),
               values.rows() * static_cast<Eigen::Index>(sizeof(double)));
  }
  POLYAK_CHECK(file.good());
}

void AnswerRuns(
    const std::function<spec::ExperimentSpec(engine::ExecutionPlan, int64_t iterations)>& run) {
  std::cout << "{}" << std::endl;
  std::string plan;
  int64_t iterations = 0;
  while (std::cin >> plan >> iterations) {
    POLYAK_CHECK(plan == "AUTO" || plan == "REDUCED" || plan == "DENSE");
    std::cout << Run(run(plan == "AUTO"    ? engine::ExecutionPlan::kAuto
                         : plan == "DENSE" ? engine::ExecutionPlan::kDense
                                           : engine::ExecutionPlan::kReduced,
                         iterations))
              << std::endl;
  }
}

}  // namespace polyak::bench
