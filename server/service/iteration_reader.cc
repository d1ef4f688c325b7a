#include "server/service/iteration_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/engine/trainer/trainer.h"
#include "server/jobs/errors.h"

namespace polyak::service {
namespace {

// A batch of the predicted curve of many eigenvalues is cut short, so that it comes in about 0.1 s.
constexpr int64_t kPredictedValuesMax = 20'000'000;

// Nothing in a row that was not diagnosed.
void AddDiagnostics(int64_t row, const storage::Columns& columns, size_t k,
                    v1::IterationBatch& batch) {
  const double smallest_eigenvalue = columns.columns[engine::kSmallestEigenvalue][k];
  const double distance = columns.columns[engine::kDistanceFromStart][k];
  const double flipped_share = columns.columns[engine::kFlippedShare][k];
  if (std::isnan(smallest_eigenvalue) && std::isnan(distance) && std::isnan(flipped_share)) {
    return;
  }
  v1::Diagnostics& diagnostics = *batch.mutable_diagnostics();
  diagnostics.add_iteration(row);
  diagnostics.add_smallest_eigenvalue(smallest_eigenvalue);
  diagnostics.add_largest_eigenvalue(columns.columns[engine::kLargestEigenvalue][k]);
  diagnostics.add_condition_number(columns.columns[engine::kConditionNumber][k]);
  diagnostics.add_flipped_share(flipped_share);
  diagnostics.add_distance_from_start(distance);
}

}  // namespace

IterationReader::IterationReader(std::shared_ptr<jobs::Job> job, const ReadOptions& options,
                                 int64_t after_iteration)
    : job_(std::move(job)), options_(options), cursor_(after_iteration) {}

int64_t IterationReader::NextRow() const {
  if (cursor_ < 0) {
    return 0;
  }
  const int64_t multiple = cursor_ / options_.stride + 1;
  // No trace has that many rows; the product must not wrap round.
  constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  return multiple > kNever / options_.stride ? kNever : multiple * options_.stride;
}

bool IterationReader::HasMore(bool ended) const {
  return HasMoreBelow(job_->reader()->row_count(), ended);
}

bool IterationReader::HasMoreBelow(int64_t rows, bool ended) const {
  const bool last_is_below = ended && rows == job_->reader()->row_count();
  return NextRow() < rows || (last_is_below && cursor_ < rows - 1);
}

double IterationReader::PredictedAt(int64_t row) {
  if (!curve_.has_value()) {
    const auto start = job_->Linearized();
    if (!start->available()) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    curve_.emplace(*start, job_->outline().method);
    curve_position_ = 0;
  }
  if (row != curve_position_) {
    curve_->Seek(row);
  }
  curve_position_ = row + 1;
  return curve_->Next();
}

absl::Status IterationReader::AddRows(const storage::TraceReader& trace, int64_t first,
                                      const storage::Columns& columns, v1::IterationBatch& batch) {
  // Column by column: this is what a watcher of a fast job waits for.
  const int64_t count = columns.row_count();
  const int size = batch.iteration_size() + static_cast<int>(count);
  batch.mutable_iteration()->Reserve(size);
  for (int64_t k = 0; k < count; ++k) {
    batch.mutable_iteration()->AddAlreadyReserved(first + k * options_.stride);
  }
  const auto add = [&columns](int column, google::protobuf::RepeatedField<double>& values) {
    const std::vector<double>& added = columns.columns[static_cast<size_t>(column)];
    values.Add(added.begin(), added.end());
  };
  add(engine::kLoss, *batch.mutable_loss());
  add(engine::kResidualNorm, *batch.mutable_residual_norm());
  add(engine::kRateEstimate, *batch.mutable_rate_estimate());
  auto& bounds = *batch.mutable_theory_bound();
  bounds.Reserve(size);
  for (int64_t k = 0; k < count; ++k) {
    bounds.AddAlreadyReserved(bound_->At(first + k * options_.stride));
  }
  for (int64_t k = 0; k < count && options_.with_prediction; ++k) {
    batch.add_predicted_residual_norm(PredictedAt(first + k * options_.stride));
  }
  for (int64_t k = 0; k < count && options_.with_elapsed; ++k) {
    POLYAK_ASSIGN_OR_RETURN(const double elapsed, trace.ElapsedAt(first + k * options_.stride));
    batch.add_elapsed_seconds(elapsed);
  }
  const bool diagnosed =
      options_.with_diagnostics && columns.columns.size() == size_t{engine::kDiagnosedTraceColumns};
  for (int64_t k = 0; diagnosed && k < count; ++k) {
    AddDiagnostics(first + k * options_.stride, columns, static_cast<size_t>(k), batch);
  }
  return absl::OkStatus();
}

bool IterationReader::quick() const {
  const auto trace = job_->reader();
  return !options_.with_prediction && (bound_.has_value() || trace->in_memory(0)) &&
         trace->in_memory(std::min(NextRow(), trace->row_count()));
}

void IterationReader::Defer(jobs::Jobs& jobs, std::function<void()> next) const {
  // The predicted curve may need the network's first pass.
  options_.with_prediction ? jobs.Compute(std::move(next)) : jobs.ReadDisk(std::move(next));
}

absl::StatusOr<bool> IterationReader::Next(int64_t max_records, bool ended,
                                           v1::IterationBatch& batch) {
  try {
    auto read = Read(max_records, ended, batch);
    return read.ok() ? std::move(read) : jobs::WithDetails(read.status());
  } catch (const std::bad_alloc&) {
    return jobs::ResourceExhausted("MEMORY_IN_USE", "memory",
                                   "the machine has no memory for the predicted curve now",
                                   absl::Seconds(1));
  }
}

absl::StatusOr<bool> IterationReader::Read(int64_t max_records, bool ended,
                                           v1::IterationBatch& batch) {
  batch.Clear();
  const auto trace = job_->reader();
  const int64_t rows = trace->row_count();
  if (rows == 0) {
    return false;
  }
  if (!bound_.has_value()) {
    POLYAK_ASSIGN_OR_RETURN(const storage::Columns start, trace->Read(0, 1, 1));
    bound_.emplace(job_->outline().bound, start.columns[engine::kResidualNorm][0]);
  }
  if (options_.with_prediction) {
    const int64_t modes = std::max<int64_t>(job_->Linearized()->eigenvalues.size(), 1);
    max_records = std::clamp<int64_t>(kPredictedValuesMax / modes, 1, max_records);
  }
  const int64_t first = NextRow();
  POLYAK_ASSIGN_OR_RETURN(const storage::Columns columns,
                          trace->Read(std::min(first, rows), max_records, options_.stride));
  POLYAK_RETURN_IF_ERROR(AddRows(*trace, first, columns, batch));
  if (columns.row_count() > 0) {
    cursor_ = first + (columns.row_count() - 1) * options_.stride;
  }
  // The last record of an ended job is always sent.
  if (ended && columns.row_count() < max_records && cursor_ < rows - 1 && NextRow() >= rows) {
    POLYAK_ASSIGN_OR_RETURN(const storage::Columns last, trace->Read(rows - 1, 1, 1));
    POLYAK_RETURN_IF_ERROR(AddRows(*trace, rows - 1, last, batch));
    cursor_ = rows - 1;
  }
  return batch.iteration_size() > 0;
}

}  // namespace polyak::service
