#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/base/file_system.h"
#include "server/base/mutex.h"
#include "server/storage/recover_trace.h"
#include "server/storage/trace.h"
#include "server/storage/trace_block.h"
#include "server/storage/trace_file.h"
#include "server/storage/trace_replay.h"
#include "server/storage/trace_view.h"

namespace polyak::storage {

// A trace in a file: docs/formats/trace.md. What was published outlives a kill of the process, what
// was synced a loss of power.
//
// Invariants: a row is in the file, with a head that covers it, before row_count() does. The rows
// of a block never move while anybody holds it; the last blocks are held, older ones are read
// from the file. The lock guards which blocks these are, never rows; the writer takes it once a
// Publish.
class FileTrace : public Trace {
 public:
  // An empty trace in a new file, ready for Append; durable with its name when it returns.
  //   description: kept for whoever finds the file without knowing the job.
  // Errors: AlreadyExists; as base::File.
  static absl::StatusOr<std::unique_ptr<FileTrace>> Create(base::FileSystem& files,
                                                           const std::string& path,
                                                           std::string_view uid, int columns,
                                                           std::string_view description);
  // The trace of a job that goes on: its torn tail is cut off, the rest is made durable. Before
  // the first Reserve, Rewind must be called. row_count() may be less than what was published
  // before a loss of power, and is never less than `rows_known_durable`.
  // Errors: NotFound; DataLoss if the header is damaged, or is that of another job; as base::File.
  // Cost: O(blocks), and a look at all rows that no head says to be durable.
  static absl::StatusOr<std::unique_ptr<FileTrace>> OpenToWrite(base::FileSystem& files,
                                                                const std::string& path,
                                                                std::string_view uid,
                                                                int64_t rows_known_durable);
  // The trace of a job that has ended with so many rows: the file is not looked at before it is
  // read.  Errors: as OpenToWrite.  Cost: one read.
  static absl::StatusOr<std::unique_ptr<FileTrace>> OpenToRead(base::FileSystem& files,
                                                               const std::string& path,
                                                               std::string_view uid, int64_t rows);

  // The next row appended is `row` <= row_count(). Those below row_count() are compared with the
  // stored ones, which stay; where these are damaged, they are mended (TraceReplay). After
  // OpenToWrite, before the first row beyond row_count().
  // Errors: DataLoss if rows before `row` are damaged that are needed: start from an earlier one
  // (damage()). Unavailable if the disk can't be read.
  absl::Status Rewind(int64_t row) override;
  // What Rewind takes for equal; without it, the same bits. Before Rewind.
  void set_agree(ValuesAgree agree) { agree_ = std::move(agree); }
  // No more rows come: lets go of the blocks in memory, and of rows that were never published.
  void Close();

  void Reserve(int64_t rows) override;
  void Append(std::span<const double> row) noexcept override;
  absl::Status Publish(double elapsed_seconds) override;
  absl::Status Sync() override;

  int64_t row_count() const override { return row_count_.load(std::memory_order_acquire); }
  absl::StatusOr<Columns> Read(int64_t first_row, int64_t max_rows, int64_t stride) const override;
  absl::StatusOr<std::vector<ColumnSummary>> Summarize(
      int column, std::span<const int64_t> edges) const override;
  absl::StatusOr<double> ElapsedAt(int64_t row) const override;
  bool in_memory(int64_t first_row) const override;
  int64_t memory_bytes() const override;

  int columns() const { return file_->layout().columns; }
  absl::StatusOr<std::string> ReadDescription() const { return file_->ReadDescription(); }
  // A checksum of all published rows, of 32 bits, for damage and not for enemies. The same for the
  // same rows, however they were cut into slices.  Errors: as Read.
  absl::StatusOr<uint32_t> Digest() const;
  // The writer's: rows that a loss of power leaves.
  int64_t synced_rows() const { return synced_rows_; }
  // Found by OpenToWrite; does not change when damage is mended.
  const std::vector<DamagedRows>& damage() const { return damage_; }

 private:
  FileTrace(std::unique_ptr<TraceFile> file, int64_t rows, std::vector<DamagedRows> damage);
  absl::StatusOr<TraceView> View() const;
  absl::Status CompareRecomputed();
  void FinishReplay();
  absl::Status StoreRows(double elapsed_seconds);
  void ShowRows();
  void CountMemory();

  const std::unique_ptr<TraceFile> file_;
  const std::vector<DamagedRows> damage_;

  // The writer's. blocks_ are those with rows that are not published yet, then those with room.
  absl::Status status_;  // not OK: nothing more can be written
  bool can_append_ = false;
  std::deque<std::shared_ptr<TraceBlock>> blocks_;
  std::vector<std::shared_ptr<TraceBlock>> spare_;  // seen by no reader
  size_t append_block_ = 0;                         // of blocks_: the one after the one at hand
  double* next_ = nullptr;                          // where the next row goes
  double* block_end_ = nullptr;
  int64_t written_ = 0;          // rows appended, published or not
  int64_t synced_rows_ = 0;      // rows known to be durable
  uint32_t previous_chain_ = 0;  // of the block before blocks_[0]
  int64_t timed_row_ = -1;       // the last row in the file
  double timed_seconds_ = 0;     // training time there
  ValuesAgree agree_;
  std::unique_ptr<TraceReplay> replay_;

  std::atomic<int64_t> row_count_;
  std::atomic<bool> dead_ = false;
  std::atomic<int64_t> blocks_held_ = 0;
  mutable base::Mutex mutex_;
  std::shared_ptr<const TraceBlocks> recent_ ABSL_GUARDED_BY(mutex_);
  std::optional<double> last_seconds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::storage
