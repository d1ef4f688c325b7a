#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "polyak/v1/training_job.pb.h"
#include "server/storage/job_store.h"

namespace polyak::storage {

// A job as the catalogue stores it (docs/formats/catalogue.md).
struct JobRow {
  std::string name;
  std::string uid;
  int64_t ended = 0;  // microseconds from the epoch to its end, at least 1; 0: it has not ended
  bool cancel_requested = false;
  std::optional<uint32_t> spec_crc;  // masked CRC-32C of `spec`; none if no numbers were taken out
  uint32_t crc = 0;                  // CrcOf(*this), when it was stored
  std::string form;  // the job, serialised, without the explicit numbers of its spec
  std::string spec;  // the whole spec, serialised, if numbers were taken out
};

// All but `crc`, which depends on what the store adds. Cost: O(size of the job).
JobRow MakeJobRow(const v1::TrainingJob& job);
// Masked CRC-32C of everything but `crc` and `spec`, which has a CRC of its own.
uint32_t CrcOf(const JobRow& row);

// The job without the explicit numbers of its spec; `spec` isn't looked at.
// Errors: DataLoss if the row is damaged.
absl::StatusOr<JobSnapshot> ParseForm(const JobRow& row);
// The whole job. Errors: likewise.
absl::StatusOr<JobSnapshot> ParseJob(const JobRow& row);

}  // namespace polyak::storage
