#include "server/jobs/guarded_trace.h"

namespace polyak::jobs {

template <typename Answer>
absl::StatusOr<Answer> GuardedTrace::Told(absl::StatusOr<Answer> answer) const {
  if (absl::IsDataLoss(answer.status())) {
    return on_damage_(answer.status());
  }
  return answer;
}

absl::StatusOr<storage::Columns> GuardedTrace::Read(int64_t first_row, int64_t max_rows,
                                                    int64_t stride) const {
  return Told(trace_->Read(first_row, max_rows, stride));
}

absl::StatusOr<std::vector<storage::ColumnSummary>> GuardedTrace::Summarize(
    int column, std::span<const int64_t> edges) const {
  return Told(trace_->Summarize(column, edges));
}

absl::StatusOr<double> GuardedTrace::ElapsedAt(int64_t row) const {
  return Told(trace_->ElapsedAt(row));
}

}  // namespace polyak::jobs
