#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "server/storage/trace_block.h"
#include "server/storage/trace_file.h"

namespace polyak::storage {

// Blocks in memory, in rising order.
using TraceBlocks = std::vector<std::shared_ptr<const TraceBlock>>;

// What one call of a reader sees of a trace: its first `rows` rows. Blocks that are in memory are
// read there, others in the file.
struct TraceView {
  const TraceFile& file;
  std::shared_ptr<const TraceBlocks> recent;  // never null
  int64_t rows = 0;
  // Training time at row rows - 1; nullopt: the file knows.
  std::optional<double> last_seconds;

  // As TraceReader.  Cost: a block is read once, and as a whole: a checksum covers all its rows.
  absl::StatusOr<Columns> Read(int64_t first_row, int64_t max_rows, int64_t stride) const;
  // Reads of a block that lies within a bin its head only, of others one column.
  absl::StatusOr<std::vector<ColumnSummary>> Summarize(int column,
                                                       std::span<const int64_t> edges) const;
  absl::StatusOr<double> ElapsedAt(int64_t row) const;

 private:
  const TraceBlock* Find(int64_t block) const;  // null if it is not in memory
  absl::Status AddBin(int column, int64_t begin, int64_t end, struct CachedColumn& cached,
                      ColumnSummary& summary) const;
};

}  // namespace polyak::storage
