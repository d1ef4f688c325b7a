// The quadratic of one case of script/bench-peers: writes its numbers for the peers, then runs it
// as often as it is told, by the plan it is told.
//
//   polyak_peer_quadratic DIMENSION KAPPA FOLDER
//
// FOLDER gets hessian, linear_term, initial_point (doubles as they are in memory, the matrix column
// by column) and parameters.json. Each line "PLAN ITERATIONS" on standard input, PLAN one of
// REDUCED, DENSE, is one whole run from the spec to the last record; answered by a line of JSON.

#include <time.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/check.h"
#include "server/runner/prepare.h"
#include "server/storage/memory_trace.h"
#include "tests/support/problems.h"

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

// H = Q diag(log-uniform) Q' with Q a product of four reflections, so that it is quick to make; b
// of a minimiser of the order of 1.
engine::QuadraticSpec MakeSpec(Eigen::Index dimension, double kappa) {
  engine::Matrix hessian = testing_support::LogUniform(dimension, kappa).asDiagonal();
  for (int k = 1; k <= 4; ++k) {
    const engine::Vector u = testing_support::NormalVector(k, dimension).normalized();
    const engine::Vector product = hessian * u;
    const double form = u.dot(product);
    hessian.noalias() -= 2 * (u * product.transpose() + product * u.transpose());
    hessian.noalias() += 4 * form * u * u.transpose();
  }
  hessian.triangularView<Eigen::StrictlyUpper>() = hessian.transpose();
  engine::QuadraticSpec spec;
  spec.linear_term =
      testing_support::Share(engine::Vector(hessian * testing_support::NormalVector(5, dimension)));
  spec.initial_point = testing_support::Share(testing_support::NormalVector(6, dimension));
  spec.hessian = testing_support::Share(std::move(hessian));
  return spec;
}

void WriteValues(const std::string& path, const double* values, Eigen::Index count) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values),
             count * static_cast<Eigen::Index>(sizeof(double)));
  POLYAK_CHECK(file.good());
}

spec::ExperimentSpec Experiment(const engine::QuadraticSpec& problem, engine::ExecutionPlan plan,
                                int64_t iterations) {
  spec::ExperimentSpec spec;
  spec.problem = problem;
  spec.optimizer = engine::PolyakMomentumSpec{};
  spec.stopping.max_iterations = iterations;
  spec.plan = plan;
  return spec;
}

void WriteCase(const engine::QuadraticSpec& spec, const std::string& folder) {
  const auto& hessian = *std::get<std::shared_ptr<const engine::Matrix>>(spec.hessian);
  WriteValues(folder + "/hessian", hessian.data(), hessian.size());
  WriteValues(folder + "/linear_term", spec.linear_term->data(), spec.linear_term->size());
  WriteValues(folder + "/initial_point", spec.initial_point->data(), spec.initial_point->size());
  spec::Violations violations;
  const auto job = runner::Prepare(Experiment(spec, engine::ExecutionPlan::kDense, 0), violations);
  POLYAK_CHECK(job != nullptr);
  const auto& instance =
      *std::get<std::shared_ptr<const engine::QuadraticInstance>>(job->experiment.problem);
  WriteValues(folder + "/minimiser", instance.minimiser.data(), instance.minimiser.size());
  std::ofstream(folder + "/parameters.json")
      << absl::StrFormat("{\"dimension\": %d, \"step_size\": %.17g, \"momentum\": %.17g}\n",
                         hessian.rows(), job->theory.method.step_size, job->theory.method.momentum);
}

// One whole run, as a job is run: prepared from its spec, trained in slices into a trace.
std::string Run(const engine::QuadraticSpec& problem, engine::ExecutionPlan plan,
                int64_t iterations) {
  constexpr int64_t kSlice = 65'536;
  const Time start = Time::Now();
  spec::Violations violations;
  const auto job = runner::Prepare(Experiment(problem, plan, iterations), violations);
  POLYAK_CHECK(job != nullptr);
  auto stepper = job->plan.entry->make(job->experiment);
  POLYAK_CHECK(stepper.ok());
  storage::MemoryTrace trace(engine::kTraceColumns);
  const base::StopToken stop;
  engine::Trainer trainer(job->experiment, job->theory, job->spec.stopping, *std::move(stepper),
                          trace, stop);
  const Time prepared = Time::Now();
  engine::Progress progress;
  while (progress.running()) {
    trace.Reserve(kSlice);
    progress = trainer.Advance(kSlice);
    POLYAK_CHECK(trace.Publish(0).ok());
  }
  const Time ended = Time::Now();
  POLYAK_CHECK(trace.row_count() == iterations + 1);
  std::string losses;
  for (int64_t t = 0; t <= iterations; t = t == 0 ? 1 : 2 * t) {
    const auto row = trace.Read(t, 1, 1);
    POLYAK_CHECK(row.ok());
    absl::StrAppend(&losses, t == 0 ? "" : ", ",
                    absl::StrFormat("[%d, %.17g]", t, row->columns[engine::kLoss][0]));
  }
  return absl::StrFormat("{\"plan\": \"%s\", \"prepare\": %s, \"train\": %s, \"losses\": [%s]}",
                         std::string{job->plan.entry->name}, prepared.Since(start),
                         ended.Since(prepared), losses);
}

int Main(int argc, char** argv) {
  int64_t dimension = 0;
  double kappa = 0;
  POLYAK_CHECK(argc == 4 && absl::SimpleAtoi(argv[1], &dimension) &&
               absl::SimpleAtod(argv[2], &kappa));
  const engine::QuadraticSpec spec = MakeSpec(dimension, kappa);
  WriteCase(spec, argv[3]);
  std::cout << "{}" << std::endl;
  std::string plan;
  int64_t iterations = 0;
  while (std::cin >> plan >> iterations) {
    POLYAK_CHECK(plan == "REDUCED" || plan == "DENSE");
    std::cout << Run(spec,
                     plan == "DENSE" ? engine::ExecutionPlan::kDense
                                     : engine::ExecutionPlan::kReduced,
                     iterations)
              << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace polyak::bench

int main(int argc, char** argv) { return polyak::bench::Main(argc, argv); }
