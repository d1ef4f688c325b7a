#pragma once

#include <functional>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/cli/context.h"
#include "polyak/v1/training_job.pb.h"

namespace polyak::cli {

struct ProblemCommandOptions {
  bool optimizer_flags = true;  // race runs every method itself
  bool spec_file = true;        // offer -f FILE instead of a problem
};

// Adds the sub-commands `quadratic`, `relu` and `deep-linear` with their flags below `command`, and
// -f FILE; `run` is called with the spec that the flags or the file describe.
void AddProblemCommands(CLI::App& command, const Context& context,
                        const ProblemCommandOptions& options,
                        const std::function<ExitCode(v1::TrainingJobSpec)>& run,
                        std::function<ExitCode()>& action);

}  // namespace polyak::cli
