#pragma once

#include <cstdint>

#include "server/engine/optimizers/optimizer.h"
#include "server/engine/plans/plan.h"
#include "server/engine/problems/registry.h"
#include "server/engine/random/random_stream.h"
#include "server/engine/theory/theory.h"
#include "server/engine/trainer/trainer.h"

namespace polyak::spec {

// A TrainingJobSpec after parsing: in range, in the engine's terms, nothing computed yet.
struct ExperimentSpec {
  engine::ProblemSpec problem;
  engine::OptimizerSpec optimizer;
  engine::Tuning tuning = engine::Tuning::kTheorem;
  engine::StoppingRule stopping;
  engine::ExecutionPlan plan = engine::ExecutionPlan::kAuto;
  engine::Seed seed;
  int64_t diagnostics_interval = 0;  // in iterations; 0: none
};

}  // namespace polyak::spec
