#include "server/storage/trace_block.h"

#include <algorithm>
#include <cstring>

#include "server/base/bytes.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/storage/column_summary.h"

namespace polyak::storage {
namespace {

constexpr int64_t kHeadMagic = 0x31444145484b4c42;  // "BLKHEAD1" in a dump
constexpr int64_t kSector = 512;
constexpr int64_t kWord = 8;
// Magic, uid, block, count, synced rows, chain; times; ...; checksum.
constexpr int64_t kFixedBytes = (6 + kElapsedSamples + 1 + 1) * kWord;
constexpr int64_t kColumnBytes = 6 * kWord;

using Times = std::array<double, kElapsedSamples + 1>;

// Between the times of two samples, or of the last sample and the last of `count` rows.
double Interpolate(const Times& samples, int64_t index, int64_t count, double last_seconds) {
  const auto sample = static_cast<size_t>(index / kElapsedStride);
  SliceTimes times;
  times.from_row = static_cast<int64_t>(sample) * kElapsedStride;
  times.from_seconds = samples[sample];
  times.to_row = std::min(times.from_row + kElapsedStride, count - 1);
  const bool is_last = times.to_row == count - 1;
  times.to_seconds = is_last ? last_seconds : samples[sample + 1];
  return times.At(index);
}

std::string_view BytesOf(std::span<const double> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

int64_t BlockLayout::slot_bytes() const {
  return (kFixedBytes + columns * kColumnBytes + kSector - 1) / kSector * kSector;
}

int64_t BlockLayout::column_offset(int column) const {
  return kHeadSlots * slot_bytes() + column * kBlockRows * kWord;
}

int64_t RowsWithin(int64_t block, int64_t rows) {
  return std::clamp<int64_t>(rows - FirstRowOf(block), 0, kBlockRows);
}

uint64_t HashUid(std::string_view uid) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char character : uid) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3;
  }
  return hash;
}

uint32_t ColumnCrc(std::span<const double> values) { return base::Crc32c(BytesOf(values)); }

uint32_t BlockHead::Chain() const {
  base::StringSink sink;
  sink.WriteInt(previous_chain);
  sink.WriteInt(block);
  sink.WriteInt(count);
  for (const ColumnHead& column : columns) {
    sink.WriteInt(column.crc);
  }
  return base::Crc32c(sink.bytes());
}

double SliceTimes::At(int64_t row) const {
  if (row >= to_row) {
    return to_seconds;
  }
  const double share = static_cast<double>(row - from_row) / static_cast<double>(to_row - from_row);
  return from_seconds + share * (to_seconds - from_seconds);
}

double BlockHead::ElapsedAt(int64_t index) const {
  return Interpolate(elapsed, index, count, elapsed[kElapsedSamples]);
}

TraceBlock::TraceBlock(BlockLayout layout, uint64_t uid_hash, int64_t block)
    : layout_(layout),
      bytes_(std::make_unique_for_overwrite<char[]>(static_cast<size_t>(layout.block_bytes()))) {
  head.uid_hash = uid_hash;
  Restart(block);
}

void TraceBlock::Restart(int64_t block) {
  const uint64_t uid_hash = head.uid_hash;
  number_ = block;
  head = BlockHead();
  head.uid_hash = uid_hash;
  head.block = block;
  head.columns.resize(static_cast<size_t>(layout_.columns));
  newest_slot = -1;
  durable_slot = -1;
}

void TraceBlock::ShowTimes(int64_t from) {
  int64_t sample = (from + kElapsedStride - 1) / kElapsedStride;
  for (; sample * kElapsedStride < head.count; ++sample) {
    shown_[static_cast<size_t>(sample)] = head.elapsed[static_cast<size_t>(sample)];
  }
  if (head.count == kBlockRows && from < kBlockRows) {
    shown_[kElapsedSamples] = head.elapsed[kElapsedSamples];
  }
}

double TraceBlock::ElapsedAt(int64_t index, int64_t count, double last_seconds) const {
  return Interpolate(shown_, index, count,
                     count == kBlockRows ? shown_[kElapsedSamples] : last_seconds);
}

// The offset of a column is a multiple of 512, and new gives memory aligned for doubles.
double* TraceBlock::column(int column) {
  return reinterpret_cast<double*>(bytes_.get() + layout_.column_offset(column));
}

std::span<const double> TraceBlock::column(int column, int64_t count) const {
  return {reinterpret_cast<const double*>(bytes_.get() + layout_.column_offset(column)),
          static_cast<size_t>(count)};
}

BlockHead ExtendHead(const BlockHead& head, const TraceBlock& values, int64_t count,
                     const SliceTimes& times) {
  POLYAK_CHECK(head.count <= count && count <= kBlockRows);
  BlockHead next = head;
  for (size_t c = 0; c < next.columns.size(); ++c) {
    ColumnHead& column = next.columns[c];
    const auto added =
        values.column(static_cast<int>(c), count).subspan(static_cast<size_t>(head.count));
    column.crc = base::Crc32c(BytesOf(added), column.crc);
    AddValues(added, column.summary);
  }
  const int64_t first_sample = (head.count + kElapsedStride - 1) / kElapsedStride;
  for (int64_t k = first_sample; k * kElapsedStride < count; ++k) {
    next.elapsed[static_cast<size_t>(k)] = times.At(head.first_row() + k * kElapsedStride);
  }
  next.elapsed[kElapsedSamples] = times.At(head.first_row() + count - 1);
  next.count = count;
  return next;
}

int FirstWrongColumn(const BlockHead& head, const TraceBlock& values) {
  for (int c = 0; c < values.layout().columns; ++c) {
    if (ColumnCrc(values.column(c, head.count)) != head.columns[static_cast<size_t>(c)].crc) {
      return c;
    }
  }
  return -1;
}

void EncodeHead(const BlockHead& head, std::span<char> slot) {
  base::StringSink sink;
  sink.WriteInt(kHeadMagic);
  sink.WriteInt(static_cast<int64_t>(head.uid_hash));
  sink.WriteInt(head.block);
  sink.WriteInt(head.count);
  sink.WriteInt(head.synced_rows);
  sink.WriteInt(head.previous_chain);
  for (const double seconds : head.elapsed) {
    sink.WriteDouble(seconds);
  }
  for (const ColumnHead& column : head.columns) {
    sink.WriteInt(column.crc);
    sink.WriteInt(column.summary.non_finite);
    sink.WriteDouble(column.summary.first);
    sink.WriteDouble(column.summary.last);
    sink.WriteDouble(column.summary.min);
    sink.WriteDouble(column.summary.max);
  }
  const size_t size = slot.size() - kWord;
  POLYAK_CHECK(sink.bytes().size() <= size);
  std::memset(slot.data(), 0, slot.size());
  std::memcpy(slot.data(), sink.bytes().data(), sink.bytes().size());
  const int64_t crc = base::MaskCrc(base::Crc32c({slot.data(), size}));
  std::memcpy(slot.data() + size, &crc, sizeof(crc));
}

std::optional<BlockHead> DecodeHead(std::string_view slot, const BlockLayout& layout,
                                    uint64_t uid_hash, int64_t block) {
  POLYAK_CHECK(static_cast<int64_t>(slot.size()) == layout.slot_bytes());
  const size_t size = slot.size() - kWord;
  base::StringSource crc(slot.substr(size));
  const bool begins_well = base::StringSource(slot).ReadInt() == kHeadMagic;
  if (!begins_well || crc.ReadInt() != base::MaskCrc(base::Crc32c(slot.substr(0, size)))) {
    return std::nullopt;
  }
  base::StringSource source(slot);
  BlockHead head;
  source.ReadInt();  // the magic
  head.uid_hash = static_cast<uint64_t>(source.ReadInt());
  head.block = source.ReadInt();
  head.count = source.ReadIntWithin(1, kBlockRows);
  head.synced_rows = source.ReadIntWithin(0, kTraceRowsMax);
  head.previous_chain = static_cast<uint32_t>(source.ReadIntWithin(0, UINT32_MAX));
  for (double& seconds : head.elapsed) {
    seconds = source.ReadDouble();
  }
  head.columns.resize(static_cast<size_t>(layout.columns));
  for (ColumnHead& column : head.columns) {
    column.crc = static_cast<uint32_t>(source.ReadIntWithin(0, UINT32_MAX));
    column.summary.count = head.count;
    column.summary.non_finite = source.ReadIntWithin(0, head.count);
    column.summary.first = source.ReadDouble();
    column.summary.last = source.ReadDouble();
    column.summary.min = source.ReadDouble();
    column.summary.max = source.ReadDouble();
  }
  if (!source.status().ok() || head.uid_hash != uid_hash || head.block != block) {
    return std::nullopt;
  }
  return head;
}

}  // namespace polyak::storage
