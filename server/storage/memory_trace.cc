#include "server/storage/memory_trace.h"

#include <algorithm>
#include <bit>

#include "server/base/check.h"
#include "server/base/double_buffer.h"
#include "server/storage/column_summary.h"

namespace polyak::storage {
namespace {

constexpr int64_t kFirstBlockRows = 1024;
// Slice times beyond this are thinned by half: interpolation stays good to a few slices.
constexpr size_t kSliceTimesMax = 65'536;

struct Place {
  int block;
  int64_t row;  // within the block
};

// Block k holds kFirstBlockRows 2^k rows and begins at row kFirstBlockRows (2^k - 1).
Place PlaceOf(int64_t row) {
  const auto index = static_cast<uint64_t>(row / kFirstBlockRows + 1);
  const int block = std::bit_width(index) - 1;
  return {block, row - kFirstBlockRows * ((int64_t{1} << block) - 1)};
}

}  // namespace

MemoryTrace::MemoryTrace(int columns) : columns_(columns) {}

void MemoryTrace::Reserve(int64_t rows) {
  while (capacity_ - written_ < rows) {
    POLYAK_CHECK(block_count_ < kBlocksMax);
    const int64_t block_rows = kFirstBlockRows << block_count_;
    blocks_[static_cast<size_t>(block_count_)].reset(
        base::AllocateDoubles(block_rows * columns_).release());
    ++block_count_;
    capacity_.store(capacity_ + block_rows, std::memory_order_relaxed);
  }
}

void MemoryTrace::Append(std::span<const double> row) noexcept {
  if (next_ == block_end_) [[unlikely]] {
    const Place place = PlaceOf(written_);
    double* const block = blocks_[static_cast<size_t>(place.block)].get();
    next_ = block + place.row * columns_;
    block_end_ = block + (kFirstBlockRows << place.block) * columns_;
  }
  for (int c = 0; c < columns_; ++c) {
    next_[c] = row[static_cast<size_t>(c)];
  }
  next_ += columns_;
  ++written_;
}

absl::Status MemoryTrace::Publish(double elapsed_seconds) {
  {
    const base::MutexLock lock(&mutex_);
    if (slice_times_.size() >= kSliceTimesMax) {
      for (size_t k = 0; 2 * k < slice_times_.size(); ++k) {
        slice_times_[k] = slice_times_[2 * k];
      }
      slice_times_.resize(slice_times_.size() / 2);
    }
    if (written_ > row_count()) {
      slice_times_.push_back({written_ - 1, elapsed_seconds});
    }
  }
  row_count_.store(written_, std::memory_order_release);
  return absl::OkStatus();
}

const double* MemoryTrace::RowAt(int64_t row) const {
  const Place place = PlaceOf(row);
  return blocks_[static_cast<size_t>(place.block)].get() + place.row * columns_;
}

absl::StatusOr<Columns> MemoryTrace::Read(int64_t first_row, int64_t max_rows,
                                          int64_t stride) const {
  POLYAK_CHECK(first_row >= 0 && stride >= 1);
  const int64_t available = row_count();
  // Without a sum that a stride near 2^63 could overflow.
  const int64_t rows =
      first_row >= available ? 0 : std::min(max_rows, 1 + (available - 1 - first_row) / stride);
  Columns result;
  result.first_row = first_row;
  result.columns.assign(static_cast<size_t>(columns_),
                        std::vector<double>(static_cast<size_t>(rows)));
  // Block by block, so that finding the place costs nothing a row.
  for (int64_t k = 0; k < rows;) {
    const Place place = PlaceOf(first_row + k * stride);
    const int64_t below = (kFirstBlockRows << place.block) - place.row;
    const int64_t count = std::min(rows - k, 1 + (below - 1) / stride);
    const double* const values =
        blocks_[static_cast<size_t>(place.block)].get() + place.row * columns_;
    for (int c = 0; c < columns_; ++c) {
      double* const column = result.columns[static_cast<size_t>(c)].data() + k;
      for (int64_t i = 0; i < count; ++i) {
        column[i] = values[i * stride * columns_ + c];
      }
    }
    k += count;
  }
  return result;
}

absl::StatusOr<std::vector<ColumnSummary>> MemoryTrace::Summarize(
    int column, std::span<const int64_t> edges) const {
  POLYAK_CHECK(column >= 0 && column < columns_);
  const int64_t available = row_count();
  std::vector<ColumnSummary> summaries(edges.empty() ? 0 : edges.size() - 1);
  for (size_t k = 0; k < summaries.size(); ++k) {
    const int64_t end = std::min(edges[k + 1], available);
    for (int64_t row = std::max<int64_t>(edges[k], 0); row < end; ++row) {
      AddValues({RowAt(row) + column, 1}, summaries[k]);
    }
  }
  return summaries;
}

absl::StatusOr<double> MemoryTrace::ElapsedAt(int64_t row) const {
  const base::MutexLock lock(&mutex_);
  const auto after =
      std::lower_bound(slice_times_.begin(), slice_times_.end(), row,
                       [](const SliceTime& time, int64_t wanted) { return time.row < wanted; });
  if (after == slice_times_.end()) {
    return slice_times_.empty() ? 0.0 : slice_times_.back().seconds;
  }
  const SliceTime before = after == slice_times_.begin() ? SliceTime{-1, 0} : *(after - 1);
  const double share =
      static_cast<double>(row - before.row) / static_cast<double>(after->row - before.row);
  return before.seconds + share * (after->seconds - before.seconds);
}

int64_t MemoryTrace::memory_bytes() const {
  return static_cast<int64_t>(sizeof(*this)) + capacity_.load(std::memory_order_relaxed) *
                                                   columns_ * static_cast<int64_t>(sizeof(double));
}

absl::Status MemoryTrace::Rewind(int64_t row) {
  POLYAK_CHECK(row == written_);
  return absl::OkStatus();
}

}  // namespace polyak::storage
