#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "polyak/v1/training_job.pb.h"

// What every job store does alike.

namespace polyak::storage {

constexpr absl::Duration kTombstoneLife = absl::Hours(24 * 30);
constexpr absl::Duration kRequestLife = absl::Hours(24);

// Microseconds from the epoch to the end of a job, at least 1; 0 while it has none.
int64_t EndMicros(const v1::TrainingJob& job);

// The name of the data set that a spec refers to; empty if it has its own numbers or none.
std::string NamedDataset(const v1::TrainingJobSpec& spec);

// The errors of JobStore's methods.
absl::Status NameTaken(const std::string& name);
absl::Status RequestIdTaken(const std::string& request_id);
absl::Status RequestIdReused(const std::string& request_id, const std::string& name_made);
absl::Status RequestJobRemoved(const std::string& request_id, const std::string& name_made);
absl::Status NoJob(bool has_tombstone);

}  // namespace polyak::storage
