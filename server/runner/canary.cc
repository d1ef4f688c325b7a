#include "server/runner/canary.h"

#include <cmath>
#include <memory>

#include "server/engine/trainer/trainer.h"
#include "server/runner/prepare.h"
#include "server/runner/runner.h"
#include "server/storage/memory_run_store.h"
#include "server/storage/memory_trace.h"

namespace polyak::runner {

bool CanaryPasses(const base::Clock& clock) {
  constexpr double kLargest = 4;
  constexpr double kStepSize = 0.125;
  constexpr int64_t kIterations = 20;
  spec::ExperimentSpec spec;
  engine::QuadraticSpec quadratic;
  engine::Vector eigenvalues(2);
  eigenvalues << 1, kLargest;
  quadratic.hessian = std::make_shared<const engine::Vector>(eigenvalues);
  quadratic.initial_point = std::make_shared<engine::Vector>(engine::Vector::Ones(2));
  spec.problem = quadratic;
  spec.optimizer = engine::GradientDescentSpec{kStepSize};
  spec.stopping.max_iterations = kIterations;
  spec::Violations violations;
  const auto job = Prepare(spec, violations);
  if (!violations.empty()) {
    return false;
  }
  storage::MemoryTrace trace(engine::kTraceColumns);
  storage::MemoryRunStore store(engine::kTraceColumns);
  const base::StopToken stop;
  const auto result = Run(*job, {"canary", store, trace, stop, stop, clock});
  if (!result.ok() || trace.row_count() != kIterations + 1) {
    return false;
  }
  // w_t = (1 - step h)^t from w_0 = (1, 1): powers of 7/8 and 1/2.
  const double t = kIterations;
  const double expected =
      0.5 * (std::pow(1 - kStepSize, 2 * t) + kLargest * std::pow(1 - kLargest * kStepSize, 2 * t));
  const auto last = trace.Read(kIterations, 1, 1);
  if (!last.ok()) {
    return false;
  }
  const double loss = last->columns[engine::kLoss][0];
  // 2 t roundings of half an ulp, and the power function's own.
  return std::abs(loss - expected) <= 1e-13 * expected;
}

}  // namespace polyak::runner
