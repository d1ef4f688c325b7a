#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "server/storage/trace.h"

namespace polyak::storage {

// The format of a trace's blocks (docs/formats/trace.md): functions of bytes, no I/O.
//
// A block is three slots for its head, then kBlockRows doubles a column. A head says how many rows
// the block has, with a checksum of each column that far. A block that fills up gets a new head in
// a slot that holds neither the newest head nor the newest durable one: whenever the process is
// killed the newest is whole, and whenever the power is cut the durable one is.
constexpr int64_t kBlockRows = 1024;
constexpr int kHeadSlots = 3;
constexpr int64_t kTraceRowsMax = int64_t{1} << 36;  // far above what a disk holds
constexpr int64_t kElapsedStride = 32;               // rows between two times
constexpr int kElapsedSamples = static_cast<int>(kBlockRows / kElapsedStride);

// Where the parts of a block lie, in bytes from its beginning.
struct BlockLayout {
  int columns = 0;
  int64_t slot_bytes() const;  // a multiple of 512
  int64_t column_offset(int column) const;
  int64_t block_bytes() const { return column_offset(columns); }
};

constexpr int64_t BlockOf(int64_t row) { return row / kBlockRows; }
constexpr int64_t FirstRowOf(int64_t block) { return block * kBlockRows; }
// Which rows of a block are below `rows`.
int64_t RowsWithin(int64_t block, int64_t rows);

// What a head says of a column.
struct ColumnHead {
  uint32_t crc = 0;       // of the values of the head's rows
  ColumnSummary summary;  // of the same
};

struct BlockHead {
  uint64_t uid_hash = 0;
  int64_t block = 0;
  int64_t count = 0;            // rows
  int64_t synced_rows = 0;      // of the whole trace: known to be durable when this was written
  uint32_t previous_chain = 0;  // Chain() of the block before; of the first: 0
  // Training time at every 32nd row that is there, and at last at row count - 1.
  std::array<double, kElapsedSamples + 1> elapsed = {};
  std::vector<ColumnHead> columns;

  int64_t first_row() const { return FirstRowOf(block); }
  // A checksum of all rows of the trace up to this head's last: of contents alone, not of times.
  uint32_t Chain() const;
  // Training time at a row of this block, by interpolation. 0 <= index < count.
  double ElapsedAt(int64_t index) const;
};

// Rows in memory, laid out like a block of the file.
//
// The writer alone touches head, slots and rows that are not published. Published rows and their
// times never change, and any thread may read them.
class TraceBlock {
 public:
  TraceBlock(BlockLayout layout, uint64_t uid_hash, int64_t block);
  void Restart(int64_t block);  // as if new; the writer's, of a block that no reader has seen

  double* column(int column);
  std::span<const double> column(int column, int64_t count) const;
  char* bytes() { return bytes_.get(); }
  const char* bytes() const { return bytes_.get(); }
  const BlockLayout& layout() const { return layout_; }
  int64_t number() const { return number_; }
  // Makes the head's times readable, from that of row `from` on.
  void ShowTimes(int64_t from);
  // Training time at a row. 0 <= index < count, which is the number of published rows here.
  //   last_seconds: that of row count - 1, if the block is not full.
  double ElapsedAt(int64_t index, int64_t count, double last_seconds) const;

  BlockHead head;  // as it is in the file; count 0: not there yet
  int newest_slot = -1;
  int durable_slot = -1;

 private:
  const BlockLayout layout_;
  const std::unique_ptr<char[]> bytes_;
  int64_t number_ = 0;
  std::array<double, kElapsedSamples + 1> shown_ = {};  // the last one only of a full block
};

// When rows were recorded: `from_row` was at `from_seconds`, `to_row` at `to_seconds`, the rows
// between them at times between these.
struct SliceTimes {
  int64_t from_row = -1;
  double from_seconds = 0;
  int64_t to_row = 0;
  double to_seconds = 0;
  double At(int64_t row) const;
};

// The head's successor when the block has `count` rows: checksums and summaries are continued.
//   head.count <= count.   Cost: O(count - head.count).
BlockHead ExtendHead(const BlockHead& head, const TraceBlock& values, int64_t count,
                     const SliceTimes& times);
uint32_t ColumnCrc(std::span<const double> values);
// The first column whose values are not those of the head; -1 if there is none.
int FirstWrongColumn(const BlockHead& head, const TraceBlock& values);

// Fills a slot.
void EncodeHead(const BlockHead& head, std::span<char> slot);
// nullopt if the slot is empty, torn, damaged, of another block or another job.
std::optional<BlockHead> DecodeHead(std::string_view slot, const BlockLayout& layout,
                                    uint64_t uid_hash, int64_t block);
// FNV-1a, of 64 bits.
uint64_t HashUid(std::string_view uid);

}  // namespace polyak::storage
