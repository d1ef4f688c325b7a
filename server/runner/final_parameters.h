#pragma once

#include <cstdint>
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
  // The next d doubles, matrix after matrix, each column by column.
  std::unique_ptr<base::ByteSource> values;
  // To be called when they are read, before the last of them are given to anybody: whether all were
  // as they had been written.  Errors: DataLoss; those of the disk.  Cost: the rest of the state.
  absl::Status CheckAll();
};

// From the checkpoint that every run leaves at its end.
//   job: ended.   datasets: as spec::Limits::datasets.
// Errors: NotFound if there is none, as for a job that ended before its first record, a full disk
// at the end, or a store without checkpoints; DataLoss; those of the store.
// Cost: one read of the checkpoint.
absl::StatusOr<FinalParameters> OpenFinalParameters(const v1::TrainingJob& job,
                                                    const storage::RunStore& runs,
                                                    const spec::NamedDatasets* datasets = nullptr);

}  // namespace polyak::runner
