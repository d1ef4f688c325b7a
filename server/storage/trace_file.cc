#include "server/storage/trace_file.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/status_macros.h"

namespace polyak::storage {
namespace {

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string WrongColumn(int column) {
  return absl::StrCat("the checksum of column ", column, " is wrong");
}

constexpr char kNoHead[] = "no head that covers them is whole";

}  // namespace

TraceFile::TraceFile(std::unique_ptr<base::File> file, std::string path, const TraceHeader& header)
    : file_(std::move(file)),
      path_(std::move(path)),
      layout_({header.columns}),
      uid_hash_(HashUid(header.uid)),
      first_block_(header.first_block()),
      description_bytes_(header.description_bytes),
      description_crc_(header.description_crc) {}

absl::StatusOr<std::unique_ptr<TraceFile>> TraceFile::Create(base::FileSystem& files,
                                                             const std::string& path,
                                                             std::string_view uid, int columns,
                                                             std::string_view description) {
  POLYAK_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (exists) {
    return absl::AlreadyExistsError(path);
  }
  const TraceHeader header = MakeTraceHeader(uid, columns, description);
  std::string bytes = absl::StrCat(EncodeTraceHeader(header), std::string(description));
  bytes.resize(static_cast<size_t>(header.first_block()));
  const std::string unnamed = path + ".new";
  POLYAK_ASSIGN_OR_RETURN(std::unique_ptr<base::File> file,
                          files.Open(unnamed, base::FileSystem::Mode::kOverwrite));
  POLYAK_RETURN_IF_ERROR(file->Write(0, bytes));
  POLYAK_RETURN_IF_ERROR(file->Sync());
  POLYAK_RETURN_IF_ERROR(files.Rename(unnamed, path));
  POLYAK_RETURN_IF_ERROR(files.SyncDirectory(DirectoryOf(path)));
  return std::unique_ptr<TraceFile>(new TraceFile(std::move(file), path, header));
}

absl::StatusOr<std::unique_ptr<TraceFile>> TraceFile::Open(base::FileSystem& files,
                                                           const std::string& path,
                                                           std::string_view uid,
                                                           base::FileSystem::Mode mode) {
  POLYAK_ASSIGN_OR_RETURN(std::unique_ptr<base::File> file, files.Open(path, mode));
  std::string bytes(kTraceHeaderBytes, '\0');
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, file->Read(0, bytes));
  const auto header =
      DecodeTraceHeader(std::string_view{bytes}.substr(0, static_cast<size_t>(size)));
  if (!header.ok()) {
    return absl::Status(header.status().code(),
                        absl::StrCat(path, ": ", std::string{header.status().message()}));
  }
  if (header->uid != uid) {
    return absl::DataLossError(absl::StrCat(path, ": it is the trace of job ", header->uid));
  }
  return std::unique_ptr<TraceFile>(new TraceFile(std::move(file), path, *header));
}

absl::StatusOr<std::string> TraceFile::ReadDescription() const {
  std::string description(static_cast<size_t>(description_bytes_), '\0');
  POLYAK_RETURN_IF_ERROR(ReadPadded(kTraceHeaderBytes, description));
  if (base::Crc32c(description) != description_crc_) {
    return absl::DataLossError(absl::StrCat(path_, ": the checksum of the description is wrong"));
  }
  return description;
}

absl::StatusOr<int64_t> TraceFile::CountBlocks() const {
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, file_->Size());
  const int64_t bytes = std::max<int64_t>(size - first_block_, 0);
  return (bytes + layout_.block_bytes() - 1) / layout_.block_bytes();
}

absl::Status TraceFile::ReadPadded(int64_t offset, std::span<char> out) const {
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, file_->Read(offset, out));
  std::fill(out.begin() + size, out.end(), '\0');
  return absl::OkStatus();
}

std::vector<TraceFile::SlotHead> TraceFile::DecodeHeads(int64_t block,
                                                        std::string_view slots) const {
  std::vector<SlotHead> heads;
  const auto size = static_cast<size_t>(layout_.slot_bytes());
  for (int slot = 0; slot < kHeadSlots; ++slot) {
    auto head =
        DecodeHead(slots.substr(static_cast<size_t>(slot) * size, size), layout_, uid_hash_, block);
    if (head) {
      heads.push_back({*std::move(head), slot});
    }
  }
  std::stable_sort(heads.begin(), heads.end(), [](const SlotHead& a, const SlotHead& b) {
    return a.head.count > b.head.count;
  });
  return heads;
}

absl::StatusOr<std::vector<TraceFile::SlotHead>> TraceFile::ReadHeads(int64_t block) const {
  std::string slots(static_cast<size_t>(layout_.column_offset(0)), '\0');
  POLYAK_RETURN_IF_ERROR(ReadPadded(Offset(block), slots));
  return DecodeHeads(block, slots);
}

absl::StatusOr<BlockHead> TraceFile::ReadHead(int64_t block, int64_t rows) const {
  POLYAK_ASSIGN_OR_RETURN(std::vector<SlotHead> heads, ReadHeads(block));
  if (heads.empty() || heads[0].head.count < rows) {
    return DamageError(block, rows, kNoHead);
  }
  return std::move(heads[0].head);
}

absl::Status TraceFile::ReadBlock(int64_t block, int64_t rows, TraceBlock& out) const {
  const std::span<char> bytes(out.bytes(), static_cast<size_t>(layout_.block_bytes()));
  POLYAK_RETURN_IF_ERROR(ReadPadded(Offset(block), bytes));
  std::vector<SlotHead> heads =
      DecodeHeads(block, {out.bytes(), static_cast<size_t>(layout_.column_offset(0))});
  out.Restart(block);
  std::string what = kNoHead;
  for (SlotHead& found : heads) {
    if (found.head.count < rows) {
      break;
    }
    const int wrong = FirstWrongColumn(found.head, out);
    if (wrong < 0) {
      out.head = std::move(found.head);
      out.newest_slot = found.slot;
      return absl::OkStatus();
    }
    what = WrongColumn(wrong);
  }
  return DamageError(block, rows, what);
}

absl::Status TraceFile::ReadColumn(int64_t block, int column, int64_t rows,
                                   std::vector<double>& values) const {
  POLYAK_ASSIGN_OR_RETURN(const std::vector<SlotHead> heads, ReadHeads(block));
  values.resize(kBlockRows);
  POLYAK_RETURN_IF_ERROR(
      ReadPadded(Offset(block) + layout_.column_offset(column),
                 {reinterpret_cast<char*>(values.data()), values.size() * sizeof(double)}));
  std::string what = kNoHead;
  for (const SlotHead& found : heads) {
    if (found.head.count < rows) {
      break;
    }
    const std::span<const double> covered(values.data(), static_cast<size_t>(found.head.count));
    if (ColumnCrc(covered) == found.head.columns[static_cast<size_t>(column)].crc) {
      values.resize(static_cast<size_t>(rows));
      return absl::OkStatus();
    }
    what = WrongColumn(column);
  }
  return DamageError(block, rows, what);
}

absl::Status TraceFile::StoreSlot(int slot, TraceBlock& block) {
  const int64_t offset = slot * layout_.slot_bytes();
  return file_->Write(Offset(block.number()) + offset,
                      {block.bytes() + offset, static_cast<size_t>(layout_.slot_bytes())});
}

absl::Status TraceFile::Store(const BlockHead& next, int64_t from, TraceBlock& block) {
  for (int slot = 0; slot < kHeadSlots; ++slot) {
    EncodeHead(next, {block.bytes() + slot * layout_.slot_bytes(),
                      static_cast<size_t>(layout_.slot_bytes())});
  }
  const bool whole = next.count == kBlockRows;
  if (whole && from == 0 && block.newest_slot < 0) {
    POLYAK_RETURN_IF_ERROR(file_->Write(
        Offset(block.number()), {block.bytes(), static_cast<size_t>(layout_.block_bytes())}));
    block.head = next;
    block.newest_slot = 0;
    return absl::OkStatus();
  }
  for (int c = 0; c < layout_.columns; ++c) {
    const auto added = block.column(c, next.count).subspan(static_cast<size_t>(from));
    POLYAK_RETURN_IF_ERROR(
        file_->Write(Offset(block.number()) + layout_.column_offset(c) +
                         from * static_cast<int64_t>(sizeof(double)),
                     {reinterpret_cast<const char*>(added.data()), added.size_bytes()}));
  }
  // A full block gets its last head twice: it will be there for long. Until the first of them is
  // there, the newest head of before must stay; the durable one must stay until a Sync.
  const int before = block.newest_slot;
  int copies = whole ? 2 : 1;
  for (int slot = 0; slot < kHeadSlots && copies > 0; ++slot) {
    const bool is_last_resort = slot == before && block.newest_slot == before;
    if (slot == block.durable_slot || is_last_resort) {
      continue;
    }
    POLYAK_RETURN_IF_ERROR(StoreSlot(slot, block));
    block.head = next;
    block.newest_slot = slot;
    --copies;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> TraceFile::CutBehind(int64_t blocks) {
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, file_->Size());
  if (size <= Offset(blocks)) {
    return false;
  }
  POLYAK_RETURN_IF_ERROR(file_->Truncate(Offset(blocks)));
  return true;
}

absl::Status TraceFile::DamageError(int64_t block, int64_t rows, std::string_view what) const {
  return absl::DataLossError(absl::StrCat(
      "rows ", FirstRowOf(block), " to ", FirstRowOf(block) + std::max<int64_t>(rows, 1) - 1,
      " (block ", block, ") of ", path_, ": ", std::string(what)));
}

}  // namespace polyak::storage
