#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/bytes.h"
#include "server/base/stop_token.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/problems/diagnostics.h"
#include "server/engine/problems/problem.h"
#include "server/engine/problems/registry.h"

namespace polyak::engine {

enum class ExecutionPlan { kAuto, kDense, kReduced };

// A problem and a method with every parameter set: what a plan runs.
struct Experiment {
  ProblemInstance problem;
  OptimizerSpec optimizer;
};

// A problem under a method, by a plan. Used by one thread.
class Stepper {
 public:
  virtual ~Stepper() = default;
  virtual Observation Observe() = 0;  // of iterate t; once per iterate
  // Observe in two halves, so that a product with a matrix that several runs share can be computed
  // for all of them between the two: what TileKernels::matrix_products makes of these. Without such
  // a matrix it is null, and the second half is all of Observe.
  struct Product {
    const Matrix* matrix = nullptr;
    const double* vector = nullptr;
    double* product = nullptr;
  };
  virtual Product BeginObserve() { return {}; }
  virtual Observation EndObserve() { return Observe(); }
  // t -> t + 1. No lock, clock, I/O; DENSE allocates nothing but threads.
  virtual void Step() = 0;
  // Of the last observed iterate; NaN where there are no activations.
  virtual double flipped_share() const = 0;
  // Of the last observed iterate, between its Observe and the Step after it. The same bits whenever
  // it is asked for that iterate, by a run that went on from a saved state too, and no bit of the
  // run depends on whether it is.   Cost: docs/reduced-plans.md, section 4.
  virtual Diagnostics Diagnose() = 0;
  // Everything that the next Step and Observe depend on, to the bit; between an Observe and the
  // Step after it, or before the first Observe. Begins with the iterate of the literal problem, as
  // SaveVector writes it, or with the count 0 where the plan does not keep it.
  virtual void Save(base::ByteSink& out) const = 0;
  // What Save wrote, into a stepper just made of the same experiment: as if the iterate had been
  // observed, so the next call is Step. Allocates no more than a run does.
  // Errors: DataLoss if the bytes do not fit the experiment, or if what they hold gives another
  // observation here than where they were saved; then the stepper must not be used.
  // Cost: up to one Observe.
  virtual absl::Status Load(base::ByteSource& in) = 0;
  // The iterate of the literal problem, its d values in the order of ParameterMatrices, without a
  // count. When Save may be called, after the first Observe.
  // Cost: O(d), and what the way back from the plan's coordinates takes.
  virtual void WriteIterate(base::ByteSink& out) const = 0;
};

struct Eligibility {
  bool eligible = false;
  std::string reason;  // why not, or what the plan does for it
};

// What a run takes by a plan, known from the spec alone (nothing is allocated).
struct PlanCost {
  double setup_operations = 0;          // flops before record 0, spectra included
  double operations_per_iteration = 0;  // flops
  double bytes = 0;            // memory of the instance and of one running job, its records aside
  double diagnosed_bytes = 0;  // more of it, once diagnostics are asked for
  double saved_values = 0;     // doubles of a checkpoint
};

// What a job asks of the planner.
struct PlanRequest {
  ExecutionPlan plan = ExecutionPlan::kAuto;
  double iterations = 0;  // at most
};

// A row of the registry: a plan, what it costs, how to ask whether it fits, and how to make it.
struct PlanEntry {
  std::string_view name;  // "DENSE"
  ExecutionPlan plan;
  // Nothing if it fits no problem of that kind.
  std::optional<PlanCost> (*cost)(const ProblemSpec&, const OptimizerSpec&);
  Eligibility (*eligible)(const Experiment&);  // exact, or the reason why not
  // Throws base::Stopped where `stops` says so while a start is drawn, and so may the stepper
  // later, when it must draw the start again: it is of no use any more then.
  absl::StatusOr<std::unique_ptr<Stepper>> (*make)(const Experiment&, const base::StopWish& stops);
};

// Every plan of this build.
const std::vector<PlanEntry>& Plans();

struct PlanChoice {
  const PlanEntry* entry = nullptr;
  std::string reason;
};

// The plan that runs `experiment`, which is of `spec`: of the kind that was asked for, or of any
// for kAuto, the one that takes the fewest operations of those that fit. Errors: InvalidArgument if
// none of the kind asked for fits, with the reasons.
absl::StatusOr<PlanChoice> ChoosePlan(const PlanRequest& request, const ProblemSpec& spec,
                                      const Experiment& experiment);

// The same choice before anything is drawn, where what fits must be known from the spec: what to
// set aside for the job.
PlanCost ForecastPlan(const PlanRequest& request, const ProblemSpec& spec,
                      const OptimizerSpec& optimizer);

}  // namespace polyak::engine
