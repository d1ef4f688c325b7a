#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/bytes.h"
#include "server/engine/optimizers/optimizer.h"
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
  virtual void Step() = 0;            // t -> t + 1; no allocation, lock, clock, I/O
  // Of the last observed iterate; NaN where there are no activations.
  virtual double flipped_share() const = 0;
  // Everything that the next Step and Observe depend on, to the bit; between an Observe and the
  // Step after it, or before the first Observe. Begins with the iterate of the literal problem, as
  // SaveVector writes it.
  virtual void Save(base::ByteSink& out) const = 0;
  // What Save wrote, into a stepper just made of the same experiment: as if the iterate had been
  // observed, so the next call is Step. Allocates no more than a run does.
  // Errors: DataLoss if the bytes do not fit the experiment, or if what they hold gives another
  // observation here than where they were saved; then the stepper must not be used.
  // Cost: up to one Observe.
  virtual absl::Status Load(base::ByteSource& in) = 0;
};

struct Eligibility {
  bool eligible = false;
  std::string reason;  // why not, or why it would be chosen
};

// A row of the registry: a plan, how to ask whether it fits, and how to make it.
struct PlanEntry {
  std::string_view name;  // "DENSE"
  ExecutionPlan plan;
  Eligibility (*eligible)(const Experiment&);  // exact, or the reason why not
  absl::StatusOr<std::unique_ptr<Stepper>> (*make)(const Experiment&);
};

// Every plan of this build.
const std::vector<PlanEntry>& Plans();

struct PlanChoice {
  const PlanEntry* entry = nullptr;
  std::string reason;
};

// The plan that runs `experiment`: the one asked for, or the planner's choice for kAuto.
// Errors: InvalidArgument if the plan asked for does not exist in this build or does not fit, with
// the reason.
absl::StatusOr<PlanChoice> ChoosePlan(ExecutionPlan requested, const Experiment& experiment);

}  // namespace polyak::engine
