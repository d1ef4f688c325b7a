#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/engine/plans/plan.h"
#include "server/engine/theory/theory.h"
#include "server/engine/trainer/trainer.h"
#include "tests/support/run.h"

namespace polyak::conformance {

struct Sample {
  std::string name;
  engine::ProblemSpec spec;
};

// Small problems of every kind: at least one of each alternative of ProblemSpec, each way to give a
// Hessian, seeded data and weights. Theory can choose parameters for all of them.
std::vector<Sample> Samples();

// One of each alternative of OptimizerSpec, unset.
std::vector<engine::OptimizerSpec> Optimizers();

// A spec with its parameters chosen, ready for any plan.
struct Prepared {
  engine::Experiment experiment;
  engine::TheoryResolution theory;
};
Prepared Prepare(const engine::ProblemSpec& spec, const engine::OptimizerSpec& optimizer,
                 engine::Seed seed, engine::Tuning tuning = engine::Tuning::kTheorem);

// The plans of this build that can run it. DENSE always can.
std::vector<const engine::PlanEntry*> PlansFor(const engine::Experiment& experiment);

// Runs by `plan` to the end; slices[k % size] records in call k of Advance.
testing_support::FinishedRun RunByPlan(const Prepared& prepared, const engine::PlanEntry& plan,
                                       const engine::StoppingRule& stopping,
                                       const std::vector<int64_t>& slices = {1000});

}  // namespace polyak::conformance
