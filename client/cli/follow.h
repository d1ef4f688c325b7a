#pragma once

#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/context.h"
#include "polyak/v1/training_service.pb.h"

namespace polyak::cli {

struct FollowOptions {
  std::string name;  // of the job
  std::optional<int64_t> after_iteration;
  int64_t stride = 1;
  bool with_prediction = false;
  bool with_elapsed = false;
  bool with_diagnostics = false;
};

// Follows one job to its end. On a terminal: a semilog chart that is drawn again as records come,
// at most ten times a second, with diagnostics one of these below it; in a pipe: a line a record
// (or an event a JSON line or YAML document), each as it comes. The first Ctrl-C ends the watch,
// never the job.
absl::StatusOr<v1::TrainingJob> Follow(const Context& context, const FollowOptions& options);

// The same, and says how it ended: on a terminal the job's facts below the chart; with -o json or
// yaml the terminal event, like all others; else a line on stderr. Returns the job's exit code.
ExitCode FollowAndReport(const Context& context, const FollowOptions& options);

// Follows several jobs at once, drawn into one chart; in a pipe, one progress line a job and second
// on stderr. labels: one a job.  Answers the final jobs in the same order.
absl::StatusOr<std::vector<v1::TrainingJob>> FollowTogether(const Context& context,
                                                            std::span<const std::string> names,
                                                            std::span<const std::string> labels,
                                                            const std::string& title);

}  // namespace polyak::cli
