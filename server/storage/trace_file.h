#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/file_system.h"
#include "server/storage/trace_block.h"
#include "server/storage/trace_header.h"

namespace polyak::storage {

// The blocks of a trace on a disk: each read is checked, each write is in an order that a kill or a
// loss of power can't hurt. Reads from any thread; one thread for the rest. Holds no rows.
//
// Errors of reads: DataLoss naming rows, block and file if the rows asked for are damaged or
// missing; Unavailable if the disk can't be read. Of writes: as base::File.
class TraceFile {
 public:
  struct SlotHead {
    BlockHead head;
    int slot = 0;
  };

  // A file with a header and no block, durable with its name. It gets its name only when it is
  // whole: what a crash may leave beside it is `path`.new, which is overwritten by the next call.
  // Errors: AlreadyExists.
  static absl::StatusOr<std::unique_ptr<TraceFile>> Create(base::FileSystem& files,
                                                           const std::string& path,
                                                           std::string_view uid, int columns,
                                                           std::string_view description);
  // Errors: NotFound; DataLoss if the header is damaged or of another job; FailedPrecondition for
  // another version.
  static absl::StatusOr<std::unique_ptr<TraceFile>> Open(base::FileSystem& files,
                                                         const std::string& path,
                                                         std::string_view uid,
                                                         base::FileSystem::Mode mode);

  const BlockLayout& layout() const { return layout_; }
  uint64_t uid_hash() const { return uid_hash_; }
  absl::StatusOr<std::string> ReadDescription() const;

  // How many blocks the file has room for, the last one perhaps in part.
  absl::StatusOr<int64_t> CountBlocks() const;
  // The whole heads of a block, the one with most rows first.
  absl::StatusOr<std::vector<SlotHead>> ReadHeads(int64_t block) const;
  // The head with most rows, at least `rows` of them.
  absl::StatusOr<BlockHead> ReadHead(int64_t block, int64_t rows) const;
  // Fills `out`, whose head and newest slot become those of the newest head that fits its rows, at
  // least `rows` of them. `out` may be a block of any number.
  absl::Status ReadBlock(int64_t block, int64_t rows, TraceBlock& out) const;
  // The first `rows` values of one column. Reads that column only.
  absl::Status ReadColumn(int64_t block, int column, int64_t rows,
                          std::vector<double>& values) const;

  // Makes `next` the head of `block` in the file and in memory, with its rows from `from` on. If
  // it fails, the same or a later head can be written by another call. With nothing there yet and
  // all rows at hand it is one write, else one a column and one or two of slots.
  absl::Status Store(const BlockHead& next, int64_t from, TraceBlock& block);
  absl::Status Sync() { return file_->Sync(); }
  // Cuts off what lies behind so many blocks. Returns whether there was anything.
  absl::StatusOr<bool> CutBehind(int64_t blocks);

  // "rows 1024 to 1535 (block 1) of PATH", with what is wrong.
  absl::Status DamageError(int64_t block, int64_t rows, std::string_view what) const;

 private:
  TraceFile(std::unique_ptr<base::File> file, std::string path, const TraceHeader& header);
  int64_t Offset(int64_t block) const { return first_block_ + block * layout_.block_bytes(); }
  // Zeros beyond the end of the file.
  absl::Status ReadPadded(int64_t offset, std::span<char> out) const;
  std::vector<SlotHead> DecodeHeads(int64_t block, std::string_view slots) const;
  absl::Status StoreSlot(int slot, TraceBlock& block);

  const std::unique_ptr<base::File> file_;
  const std::string path_;
  const BlockLayout layout_;
  const uint64_t uid_hash_;
  const int64_t first_block_;
  const int64_t description_bytes_;
  const uint32_t description_crc_;
};

}  // namespace polyak::storage
