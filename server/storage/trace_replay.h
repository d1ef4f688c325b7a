#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/storage/trace_file.h"

namespace polyak::storage {

// Whether a recomputed value is near enough to the stored one, which stays.
//   largest_so_far: the largest absolute value that is finite, of the column's stored ones so far.
using ValuesAgree =
    std::function<bool(int column, double stored, double recomputed, double largest_so_far)>;

// A run that goes on from a checkpoint recomputes rows that are stored already: these are compared,
// and where stored rows are damaged, the recomputed ones mend them.
//
// A damaged block takes recomputed rows if they have the checksums that one of its heads gives; if
// no head is whole, if they have the chain value that the next head holds. Until that head is
// reached such blocks wait in memory. What nothing follows has no witness: it is accepted.
class TraceReplay {
 public:
  // Of rows `row` to `end`, all of which are stored and durable. Without `agree`, values agree if
  // they have the same bits.
  TraceReplay(TraceFile& file, int64_t row, int64_t end, ValuesAgree agree);

  // What is known before the first row. Fills `block` with the stored rows before `row` in its
  // block, if there are any.
  // Errors: DataLoss if they are damaged: the run must go on from an earlier row.
  absl::Status Start(TraceBlock& block);
  // Compares rows of one block; calls go on where the last one ended. Stored rows replace
  // the recomputed ones in `block`; at the block's last stored row it gets the stored head.
  //   to: of the trace, behind the last row; at most the block's end and `end`.
  // Errors: DataLoss naming the first row and column that differ, or the damage that can't be
  // mended. Others as base::File, and the call can be made again.
  absl::Status Compare(const std::shared_ptr<TraceBlock>& block, int64_t to);

  int64_t compared() const { return compared_; }
  int64_t end() const { return end_; }
  bool done() const { return compared_ == end_; }
  // Of the block before the next row's block, as far as it is known.
  std::optional<uint32_t> chain() const { return chain_; }
  double last_seconds() const { return last_seconds_; }  // training time at row compared() - 1

 private:
  absl::Status Load(int64_t block);
  absl::Status CompareValues(TraceBlock& block, int64_t from, int64_t to);
  absl::Status Mend(const std::shared_ptr<TraceBlock>& block);
  // `next` is the head behind the unproven blocks: stores them if it fits.
  absl::Status Prove(const BlockHead& next);
  absl::Status StoreUnproven();
  absl::Status FindLargest();

  TraceFile& file_;
  const int64_t end_;
  const ValuesAgree agree_;
  int64_t compared_;
  std::optional<uint32_t> chain_;
  double last_seconds_ = 0;
  std::vector<double> largest_;  // a column
  TraceBlock stored_;            // the stored block at hand
  std::optional<int64_t> loaded_;
  absl::Status damage_;  // of the stored block at hand
  // Mended blocks whose chain is to be confirmed by the next head, in order, without a gap.
  std::vector<std::shared_ptr<TraceBlock>> unproven_;
  std::vector<BlockHead> unproven_heads_;
};

}  // namespace polyak::storage
