#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/base/posix_file_system.h"
#include "server/main/options.h"
#include "server/storage/dataset_store.h"
#include "server/storage/job_store.h"
#include "server/storage/run_store.h"
#include "server/telemetry/log.h"

namespace polyak::server {

// Where this process keeps jobs, records and data sets.
struct Stores {
  std::unique_ptr<base::DirectoryLock> lock;
  std::unique_ptr<base::FileSystem> files;
  std::unique_ptr<storage::RunStore> runs;
  std::unique_ptr<storage::DatasetStore> datasets;
  std::unique_ptr<storage::JobStore> jobs;
};

// In options.data_dir, an existing directory that no other process holds, within the limits of the
// disk that the options set; in memory if there is none. A
// catalogue that fails under way ends the process with exit code 70: the next one recovers.
// Errors: FailedPrecondition for a directory that is held, was written by a newer version, or whose
// catalogue is half replaced by a rebuild that was cut off; those of the disk.
absl::StatusOr<Stores> OpenStores(const ServerOptions& options, const base::Clock& clock,
                                  const telemetry::Logger& log);

}  // namespace polyak::server
