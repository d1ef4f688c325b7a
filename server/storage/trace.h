#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/row_sink.h"

namespace polyak::storage {

// Rows as columns: columns[c][k] is column c of row first_row + k.
struct Columns {
  int64_t first_row = 0;
  std::vector<std::vector<double>> columns;
  int64_t row_count() const {
    return columns.empty() ? 0 : static_cast<int64_t>(columns[0].size());
  }
};

// What a picture needs of one column over a range of rows.
struct ColumnSummary {
  double first = 0;  // may be NaN
  double last = 0;
  // Over the finite values; NaN if there is none.
  double min = std::numeric_limits<double>::quiet_NaN();
  double max = std::numeric_limits<double>::quiet_NaN();
  int64_t count = 0;
  int64_t non_finite = 0;
};

// Any number of threads.
class TraceReader {
 public:
  virtual ~TraceReader() = default;
  virtual int64_t row_count() const = 0;  // published rows; never shrinks
  // Rows first_row, first_row + stride, ... below row_count(), at most max_rows of them. first_row
  // >= 0, stride >= 1.
  // Errors: DataLoss for rows whose checksum is wrong; Unavailable if the disk can't be read.
  virtual absl::StatusOr<Columns> Read(int64_t first_row, int64_t max_rows,
                                       int64_t stride) const = 0;
  // One summary for each pair of neighbours in `edges` (rising): rows edges[k] up to, not with,
  // edges[k + 1], below row_count(); of count 0 where there are none.
  // Errors: as Read.   Cost: O(bins + rows / 1,024): whole blocks by the summaries they carry.
  virtual absl::StatusOr<std::vector<ColumnSummary>> Summarize(
      int column, std::span<const int64_t> edges) const = 0;
  // Training time at a row, interpolated between the slices that were measured; of a row that is
  // not there yet, the last that is known.
  // Errors: as Read.
  virtual absl::StatusOr<double> ElapsedAt(int64_t row) const = 0;
  // Whether Read won't touch the disk, for as many rows as one reader takes at a time.
  virtual bool in_memory(int64_t first_row) const = 0;
  virtual int64_t memory_bytes() const = 0;  // held in memory
};

// One thread.
class TraceWriter : public base::RowSink {
 public:
  // Makes room for this many more rows, so that Append can't fail. Between slices. May throw
  // std::bad_alloc.
  virtual void Reserve(int64_t rows) = 0;
  // Shows every appended row to readers, once it would outlive the process. Between slices.
  //   elapsed_seconds: training time at the last row.
  // Errors: ResourceExhausted if the disk is full; nothing is lost, and the call can be made again.
  // DataLoss if a row recomputed after Rewind differs from the stored one. Aborted as WhileNewest.
  // Unavailable for all else.
  virtual absl::Status Publish(double elapsed_seconds) = 0;
  // Makes every published row durable.
  // Errors: Aborted as WhileNewest; Unavailable: then the trace must be closed and opened anew, and
  // the run goes on from a checkpoint at or before the row_count() found.
  virtual absl::Status Sync() = 0;
  // Runs `write`, which changes something else of the run, as Publish and Sync write: unless
  // another has opened the trace to write since, or removed it. Those wait for its end.
  // Errors: Aborted if one has; those of `write`.
  virtual absl::Status WhileNewest(const std::function<absl::Status()>& write) { return write(); }
};

// The records of one run: a worker writes them, readers read them.
class Trace : public TraceReader, public TraceWriter {
 public:
  // The run goes on with row `row`, at most row_count(): rows that are there already are compared
  // with those that come again, and kept; row_count() stays. They must be equal bit by bit if this
  // build and class of processor made them, else to rounding.
  virtual absl::Status Rewind(int64_t row) = 0;
};

}  // namespace polyak::storage
