#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "polyak/v1/training_service.pb.h"
#include "server/engine/theory/bound_curve.h"
#include "server/engine/theory/predicted_curve.h"
#include "server/jobs/jobs.h"

namespace polyak::service {

// Which records a reader wants, and which columns beside the stored ones.
struct ReadOptions {
  int64_t stride = 1;
  bool with_prediction = false;
  bool with_elapsed = false;
  bool with_diagnostics = false;
};

// A cursor over the records of one job. Bound and predicted curve are computed here, for whoever
// asks. Used by one thread at a time.
class IterationReader {
 public:
  // after_iteration: the last one already seen; -1 for none.
  IterationReader(std::shared_ptr<jobs::Job> job, const ReadOptions& options,
                  int64_t after_iteration);

  // Fills `batch` (cleared first) with at most max_records of the published records after the
  // cursor, and moves on.
  //   ended: the job has reached its final state, so that the last published row is the job's last
  //   record.
  // Returns whether anything was written.   Cost: O(records), and O(k) a record for the predicted
  // curve.
  // Errors: of the trace; ResourceExhausted when the predicted curve needs more memory than there
  // is.
  absl::StatusOr<bool> Next(int64_t max_records, bool ended, v1::IterationBatch& batch);
  // Whether Next would neither compute a curve nor touch a disk: whether it is for any thread.
  bool quick() const;
  // Runs a call of Next that is not quick on a thread for what it does.
  void Defer(jobs::Jobs& jobs, std::function<void()> next) const;

  // Whether published records remain that Next would deliver, now.
  bool HasMore(bool ended) const;
  // The same for the first `rows` rows alone: whether what was stored at some moment has been
  // delivered.
  bool HasMoreBelow(int64_t rows, bool ended) const;
  // Last iteration delivered or skipped by the stride; -1 before the first.
  int64_t cursor() const { return cursor_; }

 private:
  int64_t NextRow() const;  // first row after the cursor that the stride keeps
  absl::StatusOr<bool> Read(int64_t max_records, bool ended, v1::IterationBatch& batch);
  // Rows first, first + stride, ...: those that `columns` has.
  absl::Status AddRows(const storage::TraceReader& trace, int64_t first,
                       const storage::Columns& columns, v1::IterationBatch& batch);
  double PredictedAt(int64_t row);

  const std::shared_ptr<jobs::Job> job_;
  const ReadOptions options_;
  int64_t cursor_;
  std::optional<engine::BoundCurve> bound_;  // once record 0 is there
  std::optional<engine::PredictedCurve> curve_;
  int64_t curve_position_ = -1;
};

}  // namespace polyak::service
