#include "server/runner/final_parameters.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/engine/trainer/trainer.h"
#include "server/runner/prepare.h"

namespace polyak::runner {
namespace {

// How many values the matrices hold; the spec bounds it far below 2^63.
int64_t CountValues(const std::vector<engine::ParameterMatrix>& matrices) {
  int64_t values = 0;
  for (const engine::ParameterMatrix& matrix : matrices) {
    values += matrix.rows * matrix.cols;
  }
  return values;
}

}  // namespace

absl::StatusOr<FinalParameters> OpenFinalParameters(const v1::TrainingJob& job,
                                                    const storage::RunStore& runs,
                                                    const spec::NamedDatasets* datasets) {
  if (!job.has_summary()) {
    return absl::NotFoundError(absl::StrCat(job.name(), " ended before its first record"));
  }
  POLYAK_ASSIGN_OR_RETURN(auto checkpoint,
                          runs.OpenCheckpoint(job.uid(), job.summary().iterations()));
  POLYAK_ASSIGN_OR_RETURN(const engine::SavedIterate saved,
                          engine::SeekSavedIterate(*checkpoint.state));
  if (saved.iteration != job.summary().iterations()) {
    return absl::NotFoundError(
        absl::StrCat("the newest checkpoint of ", job.name(), " is of iteration ", saved.iteration,
                     ", and its last record of ", job.summary().iterations()));
  }
  const auto spec = AcceptedSpec(job.spec(), datasets);
  if (!spec.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("this version does not accept the spec of ", job.name(), " any more"));
  }
  FinalParameters parameters;
  parameters.matrices = engine::ParameterMatrices(spec->problem);
  parameters.iteration = saved.iteration;
  parameters.dimension = saved.dimension;
  if (CountValues(parameters.matrices) != saved.dimension) {
    return absl::DataLossError(absl::StrCat("the checkpoint of ", job.name(), " holds ",
                                            saved.dimension, " values; its spec has ",
                                            CountValues(parameters.matrices)));
  }
  parameters.values = std::move(checkpoint.state);
  return parameters;
}

absl::Status FinalParameters::CheckAll() {
  while (!values->at_end() && values->status().ok()) {
    values->ReadInt();  // a state is numbers of eight bytes throughout
  }
  return values->status();
}

}  // namespace polyak::runner
