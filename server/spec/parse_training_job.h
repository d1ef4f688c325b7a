#pragma once

#include <optional>

#include "polyak/v1/training_job.pb.h"
#include "server/spec/experiment_spec.h"
#include "server/spec/limits.h"
#include "server/spec/violations.h"

namespace polyak::spec {

// Checks and converts a spec in one pass, so that nothing is checked that is not converted. Every
// violation is added, with its path from `spec` on; nothing is returned if there was one. What
// needs eigenvalues is left to runner::Prepare. Cost: O(size of the message).
std::optional<ExperimentSpec> ParseTrainingJobSpec(const v1::TrainingJobSpec& message,
                                                   const Limits& limits, Violations& violations);

// What is left of a refused spec to prepare, so that what only eigenvalues show can be named beside
// the fields already refused: the problem, with the method where that is in range too. Nothing if
// the problem itself is refused. Cost: O(size of the message).
std::optional<ExperimentSpec> ParsePreparablePart(const v1::TrainingJobSpec& message,
                                                  const Limits& limits);

}  // namespace polyak::spec
