#include "server/storage/trace_view.h"

#include <algorithm>
#include <optional>

#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/storage/column_summary.h"

namespace polyak::storage {

// The column of the block at which two bins meet is read once for both.
struct CachedColumn {
  int64_t block = -1;
  std::vector<double> stored;
  std::span<const double> values;
};

const TraceBlock* TraceView::Find(int64_t block) const {
  if (recent->empty() || block < recent->front()->number()) {
    return nullptr;
  }
  const auto found = std::find_if(recent->begin(), recent->end(), [block](const auto& candidate) {
    return candidate->number() == block;
  });
  return found == recent->end() ? nullptr : found->get();
}

absl::StatusOr<Columns> TraceView::Read(int64_t first_row, int64_t max_rows, int64_t stride) const {
  POLYAK_CHECK(first_row >= 0 && stride >= 1);
  // Without a sum that a stride near 2^63 could overflow.
  const int64_t count =
      first_row >= rows ? 0 : std::clamp<int64_t>(max_rows, 0, 1 + (rows - 1 - first_row) / stride);
  const BlockLayout& layout = file.layout();
  Columns result;
  result.first_row = first_row;
  result.columns.assign(static_cast<size_t>(layout.columns),
                        std::vector<double>(static_cast<size_t>(count)));
  std::optional<TraceBlock> stored;
  for (int64_t done = 0; done < count;) {
    const int64_t row = first_row + done * stride;
    const int64_t number = BlockOf(row);
    const int64_t there = RowsWithin(number, rows);
    const TraceBlock* block = Find(number);
    if (block == nullptr) {
      if (!stored) {
        stored.emplace(layout, file.uid_hash(), number);
      }
      POLYAK_RETURN_IF_ERROR(file.ReadBlock(number, there, *stored));
      block = &*stored;
    }
    const int64_t index = row - FirstRowOf(number);
    const int64_t taken = std::min(count - done, 1 + (there - 1 - index) / stride);
    for (int c = 0; c < layout.columns; ++c) {
      const double* const from = block->column(c, there).data() + index;
      double* const to = result.columns[static_cast<size_t>(c)].data() + done;
      if (stride == 1) {
        std::copy(from, from + taken, to);
      } else {
        for (int64_t k = 0; k < taken; ++k) {
          to[k] = from[k * stride];
        }
      }
    }
    done += taken;
  }
  return result;
}

absl::Status TraceView::AddBin(int column, int64_t begin, int64_t end, CachedColumn& cached,
                               ColumnSummary& summary) const {
  for (int64_t row = begin; row < end;) {
    const int64_t number = BlockOf(row);
    const int64_t first = FirstRowOf(number);
    const int64_t stop = std::min(end, first + kBlockRows);
    const TraceBlock* const block = Find(number);
    if (block == nullptr && stop - row == kBlockRows) {
      POLYAK_ASSIGN_OR_RETURN(const BlockHead head, file.ReadHead(number, kBlockRows));
      AddSummary(head.columns[static_cast<size_t>(column)].summary, summary);
      row = stop;
      continue;
    }
    const int64_t there = RowsWithin(number, rows);
    if (block != nullptr) {
      cached.values = block->column(column, there);
      cached.block = number;
    } else if (cached.block != number) {
      POLYAK_RETURN_IF_ERROR(file.ReadColumn(number, column, there, cached.stored));
      cached.values = cached.stored;
      cached.block = number;
    }
    AddValues(
        cached.values.subspan(static_cast<size_t>(row - first), static_cast<size_t>(stop - row)),
        summary);
    row = stop;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ColumnSummary>> TraceView::Summarize(
    int column, std::span<const int64_t> edges) const {
  POLYAK_CHECK(column >= 0 && column < file.layout().columns);
  std::vector<ColumnSummary> summaries(edges.empty() ? 0 : edges.size() - 1);
  CachedColumn cached;
  for (size_t k = 0; k < summaries.size(); ++k) {
    POLYAK_RETURN_IF_ERROR(AddBin(column, std::max<int64_t>(edges[k], 0),
                                  std::min(edges[k + 1], rows), cached, summaries[k]));
  }
  return summaries;
}

absl::StatusOr<double> TraceView::ElapsedAt(int64_t row) const {
  if (rows == 0) {
    return 0.0;
  }
  row = std::clamp<int64_t>(row, 0, rows - 1);
  if (row == rows - 1 && last_seconds) {
    return *last_seconds;
  }
  const int64_t number = BlockOf(row);
  const int64_t index = row - FirstRowOf(number);
  const int64_t there = RowsWithin(number, rows);
  if (const TraceBlock* const block = Find(number)) {
    return block->ElapsedAt(index, there, last_seconds.value_or(0));
  }
  POLYAK_ASSIGN_OR_RETURN(const BlockHead head, file.ReadHead(number, there));
  return head.ElapsedAt(index);
}

}  // namespace polyak::storage
