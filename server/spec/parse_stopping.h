#pragma once

#include "polyak/v1/training_job.pb.h"
#include "server/engine/trainer/trainer.h"
#include "server/spec/limits.h"
#include "server/spec/violations.h"

namespace polyak::spec {

engine::StoppingRule ParseStopping(const v1::StoppingRule& message, const Limits& limits,
                                   Violations& violations);

}  // namespace polyak::spec
