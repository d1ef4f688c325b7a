#include "server/runner/final_parameters.h"

#include <limits>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/engine/trainer/trainer.h"
#include "server/runner/prepare.h"

namespace polyak::runner {
namespace {

// How many values the matrices hold. Those of the widest networks that a spec can ask for are not
// below 2^63: all such numbers are the largest.
int64_t CountValues(const std::vector<engine::ParameterMatrix>& matrices) {
  double values = 0;
  for (const engine::ParameterMatrix& matrix : matrices) {
    values += static_cast<double>(matrix.rows) * static_cast<double>(matrix.cols);
  }
  constexpr double kExact = 9e15;
  return values < kExact ? static_cast<int64_t>(values) : std::numeric_limits<int64_t>::max();
}

// A string as a source that owns it.
class OwnedSource : public base::ByteSource {
 public:
  explicit OwnedSource(std::string bytes) : bytes_(std::move(bytes)), source_(bytes_) {}
  void Read(std::span<char> out) override {
    source_.Read(out);
    if (!source_.status().ok()) {
      Fail(source_.status());
    }
  }
  bool at_end() const override { return source_.at_end(); }

 private:
  const std::string bytes_;
  base::StringSource source_;
};

// The literal iterate of a job whose plan kept other coordinates.
absl::StatusOr<std::unique_ptr<base::ByteSource>> ComputeValues(const v1::TrainingJob& job,
                                                                spec::ExperimentSpec spec,
                                                                const storage::RunStore& runs) {
  POLYAK_RETURN_IF_ERROR(LoadData(spec));
  spec::Violations violations;
  const auto prepared = Prepare(spec, violations);
  if (!violations.empty()) {
    return absl::NotFoundError(
        absl::StrCat("this version does not accept the spec of ", job.name(), " any more"));
  }
  POLYAK_ASSIGN_OR_RETURN(auto stepper, prepared->plan.entry->make(prepared->experiment, {}));
  POLYAK_ASSIGN_OR_RETURN(auto checkpoint,
                          runs.OpenCheckpoint(job.uid(), job.summary().iterations()));
  POLYAK_ASSIGN_OR_RETURN(std::string values,
                          engine::ReadSavedIterate(*checkpoint.state, *stepper));
  return std::make_unique<OwnedSource>(std::move(values));
}

// The newest checkpoint up to the last record; DataLoss names the job.
absl::StatusOr<storage::Checkpoint> OpenLastCheckpoint(const v1::TrainingJob& job,
                                                       const storage::RunStore& runs) {
  const int64_t last = job.summary().iterations();
  auto checkpoint = runs.OpenCheckpoint(job.uid(), last);
  absl::Status status = checkpoint.status();
  if (checkpoint.ok() && checkpoint->iteration != last) {
    status = checkpoint->passed_over;  // one of them may have been the last one
  }
  if (absl::IsDataLoss(status)) {
    return absl::DataLossError(absl::StrCat("the last checkpoint of ", job.name(),
                                            " is damaged: ", std::string{status.message()}));
  }
  POLYAK_RETURN_IF_ERROR(status);
  return checkpoint;
}

}  // namespace

absl::StatusOr<FinalParameters> OpenFinalParameters(const v1::TrainingJob& job,
                                                    const storage::RunStore& runs,
                                                    const ComputedValues& computed,
                                                    const spec::NamedDatasets* datasets) {
  if (!job.has_summary()) {
    return absl::NotFoundError(
        job.has_error()
            ? absl::StrCat(job.name(),
                           " failed, and its final iterate is not kept: ", job.error().message())
            : absl::StrCat(job.name(), " ended before its first record"));
  }
  POLYAK_ASSIGN_OR_RETURN(auto checkpoint, OpenLastCheckpoint(job, runs));
  POLYAK_ASSIGN_OR_RETURN(const engine::SavedIterate saved,
                          engine::SeekSavedIterate(*checkpoint.state));
  if (saved.iteration != job.summary().iterations()) {
    return absl::NotFoundError(
        absl::StrCat("the newest checkpoint of ", job.name(), " is of iteration ", saved.iteration,
                     ", and its last record of ", job.summary().iterations()));
  }
  POLYAK_RETURN_IF_ERROR(CheckNamedDataset(job.spec(), datasets));
  auto spec = AcceptedSpec(job.spec(), datasets);
  if (!spec.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("this version does not accept the spec of ", job.name(), " any more"));
  }
  KeepPlan(job, *spec);
  FinalParameters parameters;
  parameters.matrices = engine::ParameterMatrices(spec->problem);
  parameters.iteration = saved.iteration;
  parameters.dimension = CountValues(parameters.matrices);
  if (saved.dimension == parameters.dimension) {
    parameters.values = std::move(checkpoint.state);
  } else if (saved.dimension != 0) {
    return absl::DataLossError(absl::StrCat("the checkpoint of ", job.name(), " holds ",
                                            saved.dimension, " values; its spec has ",
                                            parameters.dimension));
  } else if (parameters.dimension <= computed.dimension_max) {
    const v1::Forecast forecast = ForecastCost(*spec);
    // In the stepper, as bytes, and on the way between; an orthogonal layer takes four to draw.
    constexpr double kCopies = 6;
    POLYAK_ASSIGN_OR_RETURN(
        parameters.reserved,
        computed.reserve(forecast.memory_bytes() - forecast.trace_bytes() +
                         kCopies * sizeof(double) * static_cast<double>(parameters.dimension)));
    POLYAK_ASSIGN_OR_RETURN(parameters.values, ComputeValues(job, *std::move(spec), runs));
  }
  return parameters;
}

absl::Status FinalParameters::CheckAll() {
  while (!values->at_end() && values->status().ok()) {
    values->ReadInt();  // a state is numbers of eight bytes throughout
  }
  return values->status();
}

}  // namespace polyak::runner
