#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "polyak/v1/training_job.pb.h"
#include "server/base/file_system.h"

namespace polyak::storage {

// What the files of a run say without a catalogue.
struct FoundRun {
  std::string uid;       // by the file's name
  bool is_lost = false;  // in the folder of runs that no job is known for
  // As it was when its trace was made.
  // Errors: DataLoss, FailedPrecondition: the trace is damaged, or of a newer version; those of the
  // disk, which may pass.
  absl::StatusOr<v1::TrainingJob> job;
  int64_t records = 0;  // as the trace's last head says; more than can be read if it is damaged
};

// Whether that is because the disk does not give its trace: another time it may.
bool IsUnreadable(const FoundRun& run);

// The runs below a data directory that have a trace, those of the folder `jobs` first. Changes
// nothing.   Errors: of the disk, if a folder can't be listed.   Cost: the headers and descriptions
// of all traces.
absl::StatusOr<std::vector<FoundRun>> FindRuns(base::FileSystem& files,
                                               const std::string& data_directory);

// Moves the files of a run from `lost` back to `jobs`, durably.   Errors: of the disk;
// AlreadyExists if `jobs` has files of that uid.
absl::Status BringBack(base::FileSystem& files, const std::string& data_directory,
                       const std::string& uid);

}  // namespace polyak::storage
