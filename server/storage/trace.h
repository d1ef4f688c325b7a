#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "server/base/mutex.h"
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

// Any number of threads.
class TraceReader {
 public:
  virtual ~TraceReader() = default;
  virtual int64_t row_count() const = 0;  // published rows; never shrinks
  // Rows first_row, first_row + stride, ... below row_count(), at most max_rows of them. first_row
  // >= 0, stride >= 1.
  virtual Columns Read(int64_t first_row, int64_t max_rows, int64_t stride) const = 0;
  // Training time at a row, interpolated between the slices that were measured.
  virtual double ElapsedAt(int64_t row) const = 0;
};

// One thread.
class TraceWriter : public base::RowSink {
 public:
  // Makes room for this many more rows, so that Append can't fail. Between slices. May throw
  // std::bad_alloc.
  virtual void Reserve(int64_t rows) = 0;
  // Shows every appended row to readers. Between slices.  elapsed_seconds: training time at the
  // last row.
  virtual void Publish(double elapsed_seconds) = 0;
};

// A trace in memory.
//
// Invariants: blocks double in size and never move. Block pointers and rows are written before the
// release store of row_count_ that makes them visible; a reader touches only rows below the value
// that its acquire load returned. So rows need no lock; only the list of slice times has one.
class MemoryTrace : public TraceReader, public TraceWriter {
 public:
  explicit MemoryTrace(int columns);

  void Reserve(int64_t rows) override;
  void Append(std::span<const double> row) noexcept override;
  void Publish(double elapsed_seconds) override;

  int64_t row_count() const override { return row_count_.load(std::memory_order_acquire); }
  Columns Read(int64_t first_row, int64_t max_rows, int64_t stride) const override;
  double ElapsedAt(int64_t row) const override;
  // Memory held, in bytes.
  int64_t allocated_bytes() const;

 private:
  static constexpr int kBlocksMax = 40;
  struct SliceTime {
    int64_t row;
    double seconds;
  };
  struct Free {
    void operator()(double* values) const { std::free(values); }
  };
  const double* RowAt(int64_t row) const;

  const int columns_;
  std::array<std::unique_ptr<double[], Free>, kBlocksMax> blocks_;
  int block_count_ = 0;     // writer only
  int64_t capacity_ = 0;    // writer only
  int64_t written_ = 0;     // writer only
  double* next_ = nullptr;  // writer only: where the next row goes
  double* block_end_ = nullptr;
  std::atomic<int64_t> row_count_ = 0;
  mutable base::Mutex mutex_;
  std::vector<SliceTime> slice_times_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::storage
