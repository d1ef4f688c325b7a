#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "server/base/mutex.h"
#include "server/storage/trace.h"

namespace polyak::storage {

// A trace in memory: gone with the process. No call fails.
//
// Invariants: blocks double in size and never move. Block pointers and rows are written before the
// release store of row_count_ that makes them visible; a reader touches only rows below the value
// that its acquire load returned. So rows need no lock; only the list of slice times has one.
class MemoryTrace : public Trace {
 public:
  explicit MemoryTrace(int columns);

  void Reserve(int64_t rows) override;
  void Append(std::span<const double> row) noexcept override;
  absl::Status Publish(double elapsed_seconds) override;
  absl::Status Sync() override { return absl::OkStatus(); }
  // Only a run that begins writes here: there is nothing to go on from.
  absl::Status Rewind(int64_t row) override;

  int64_t row_count() const override { return row_count_.load(std::memory_order_acquire); }
  absl::StatusOr<Columns> Read(int64_t first_row, int64_t max_rows, int64_t stride) const override;
  // Cost: O(rows), since nothing is kept beside them.
  absl::StatusOr<std::vector<ColumnSummary>> Summarize(
      int column, std::span<const int64_t> edges) const override;
  absl::StatusOr<double> ElapsedAt(int64_t row) const override;
  bool in_memory(int64_t /*first_row*/) const override { return true; }
  // Of the blocks, whether they hold rows yet or not.
  int64_t memory_bytes() const override;

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
  int block_count_ = 0;                // writer only
  std::atomic<int64_t> capacity_ = 0;  // written by the writer only
  int64_t written_ = 0;                // writer only
  double* next_ = nullptr;             // writer only: where the next row goes
  double* block_end_ = nullptr;
  std::atomic<int64_t> row_count_ = 0;
  mutable base::Mutex mutex_;
  std::vector<SliceTime> slice_times_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::storage
