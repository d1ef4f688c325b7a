#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "polyak/v1/training_job.pb.h"
#include "server/base/bytes.h"
#include "server/engine/problems/registry.h"
#include "server/spec/limits.h"
#include "server/storage/run_store.h"

namespace polyak::runner {

// Where the method stood at the last record of a job.
struct FinalParameters {
  std::vector<engine::ParameterMatrix> matrices;
  int64_t iteration = 0;
  int64_t dimension = 0;  // d, the values of all matrices
  // The next d doubles, matrix after matrix, each column by column. Null if they would have to be
  // computed and are more than was asked for.
  std::unique_ptr<base::ByteSource> values;
  // To be called when they are read, before the last of them are given to anybody: whether all were
  // as they had been written.  Errors: DataLoss; those of the disk.  Cost: the rest of the state.
  absl::Status CheckAll();
  // The memory of values that were computed, given back with the last copy.
  std::shared_ptr<const void> reserved;
};

// How far values may be computed that no checkpoint holds.
struct ComputedValues {
  int64_t dimension_max = 0;  // more are not
  // Sets memory aside.   Errors: those of whoever asks for the parameters.
  std::function<absl::StatusOr<std::shared_ptr<const void>>(double bytes)> reserve;
};

// From the checkpoint that every run leaves at its end. Of a job whose plan kept other coordinates
// they are computed from those.
//   job: ended.   datasets: as spec::Limits::datasets.
// Errors: NotFound if there is none, as for a job that failed or ended before its first record, a
// full disk at the end, or a store without checkpoints; DataLoss if it is damaged, which Recompute
// mends; those of the store.
// May throw std::bad_alloc.   Cost: one read of the checkpoint; for values that are computed, the
// preparation of the job and memory for all of them.
absl::StatusOr<FinalParameters> OpenFinalParameters(const v1::TrainingJob& job,
                                                    const storage::RunStore& runs,
                                                    const ComputedValues& computed,
                                                    const spec::NamedDatasets* datasets = nullptr);

}  // namespace polyak::runner
