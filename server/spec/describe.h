#pragma once

#include <string>

#include "polyak/v1/training_job.pb.h"
#include "server/engine/plans/plan.h"
#include "server/engine/theory/theory.h"
#include "server/engine/trainer/trainer.h"

namespace polyak::spec {

// Results as messages. NaN and infinities travel as themselves.
v1::Resolution DescribeResolution(const engine::TheoryResolution& theory, engine::Seed seed,
                                  const engine::PlanChoice& plan);
v1::Summary DescribeSummary(const engine::RunSummary& summary, double training_seconds);
v1::Termination DescribeTermination(engine::StopReason reason);

}  // namespace polyak::spec
