#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/storage/trace_file.h"

namespace polyak::storage {

// Rows that were durable and can't be read any more, as far as heads tell.
struct DamagedRows {
  int64_t first_row = 0;
  int64_t row_count = 0;
};

struct RecoveredTrace {
  int64_t rows = 0;
  std::vector<DamagedRows> damage;  // in rising order, neighbours joined
};

// Finds out what a trace of a job that has not ended holds, and makes all of it durable.
//
// Rows below the largest number that the caller or any whole head knows to be durable are there by
// promise: where they can't be read they are damaged, and nothing is removed. What follows counts
// as far as heads, checksums and chain are right; the rest is a torn tail and is cut off. Rows that
// are not known to be durable are written once more before the Sync: after a Sync that failed, the
// system may hold pages that it believes to be on the disk and are not.
//
// Errors: as base::File.   Cost: reads all heads, and the blocks of rows not known to be durable.
absl::StatusOr<RecoveredTrace> RecoverTrace(TraceFile& file, int64_t rows_known_durable);

}  // namespace polyak::storage
