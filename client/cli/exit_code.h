#pragma once

#include "absl/status/status.h"
#include "polyak/v1/training_job.pb.h"

namespace polyak::cli {

// What a script can rely on; `polyak --help` prints them.
enum ExitCode : int {
  kSucceeded = 0,
  kError = 1,
  kUsage = 2,
  kNotFound = 3,
  kAuthentication = 4,
  kUnreachable = 5,
  kDiverged = 6,
  kCancelled = 7,
  kToleranceMissed = 8,
  kWaitTimedOut = 124,
  kInterrupted = 130,
};

// The table of all codes, for help.
const char* ExitCodeHelp();

ExitCode ExitCodeOf(const absl::Status& status);

// Of an ended job. 8 only if the spec asked for a relative loss that was missed. Of one that has
// not ended: succeeded.
ExitCode ExitCodeOf(const v1::TrainingJob& job);

}  // namespace polyak::cli
