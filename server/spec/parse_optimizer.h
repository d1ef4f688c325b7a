#pragma once

#include "polyak/v1/optimizer.pb.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/theory/theory.h"
#include "server/spec/violations.h"

namespace polyak::spec {

// Unset parameters stay unset: theory chooses them later.
engine::OptimizerSpec ParseOptimizer(const v1::Optimizer& message, Violations& violations);

engine::Tuning ParseTuning(v1::Tuning tuning, Violations& violations);

}  // namespace polyak::spec
