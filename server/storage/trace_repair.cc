#include "server/storage/trace_repair.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/status_macros.h"
#include "server/storage/trace_block.h"
#include "server/storage/trace_header.h"

namespace polyak::storage {
namespace {

constexpr int64_t kBlocksAlign = 4096;
constexpr int64_t kCopyBytes = 1 << 20;

// Up to `bytes` from `offset` on: fewer at the end of the file.
absl::StatusOr<std::string> ReadUpTo(const base::File& file, int64_t offset, int64_t bytes) {
  std::string out(static_cast<size_t>(bytes), '\0');
  POLYAK_ASSIGN_OR_RETURN(const int64_t count, file.Read(offset, out));
  out.resize(static_cast<size_t>(count));
  return out;
}

// By the heads of block 0, which begin the blocks wherever they are.
absl::StatusOr<std::optional<int64_t>> FindFirstBlock(const base::File& file, int64_t size,
                                                      std::string_view uid, int columns) {
  const BlockLayout layout = {columns};
  const auto slot_bytes = static_cast<size_t>(layout.slot_bytes());
  for (int64_t offset = kBlocksAlign; offset < std::min(size, kTraceDescriptionBytesMax);
       offset += kBlocksAlign) {
    POLYAK_ASSIGN_OR_RETURN(const std::string slots,
                            ReadUpTo(file, offset, layout.column_offset(0)));
    for (size_t begin = 0; begin + slot_bytes <= slots.size(); begin += slot_bytes) {
      if (DecodeHead(std::string_view{slots}.substr(begin, slot_bytes), layout, HashUid(uid), 0)) {
        return offset;
      }
    }
  }
  return std::optional<int64_t>();
}

}  // namespace

absl::StatusOr<TraceRemains> LookAtRemains(base::FileSystem& files, const std::string& path,
                                           std::string_view uid, int columns) {
  TraceRemains remains;
  const auto file = files.Open(path, base::FileSystem::Mode::kRead);
  if (absl::IsNotFound(file.status())) {
    return remains;
  }
  POLYAK_RETURN_IF_ERROR(file.status());
  POLYAK_ASSIGN_OR_RETURN(remains.size, (*file)->Size());
  POLYAK_ASSIGN_OR_RETURN(const std::string bytes, ReadUpTo(**file, 0, kTraceHeaderBytes));
  const auto header = DecodeTraceHeader(bytes);
  if (header.ok() && header->uid == uid && header->columns == columns) {
    remains.first_block = header->first_block();
    POLYAK_ASSIGN_OR_RETURN(std::string description,
                            ReadUpTo(**file, kTraceHeaderBytes, header->description_bytes));
    if (static_cast<int64_t>(description.size()) == header->description_bytes &&
        base::Crc32c(description) == header->description_crc) {
      remains.description = std::move(description);
    }
    return remains;
  }
  POLYAK_ASSIGN_OR_RETURN(remains.first_block, FindFirstBlock(**file, remains.size, uid, columns));
  return remains;
}

absl::StatusOr<std::unique_ptr<TraceRepair>> FileTraceRepair::Open(
    base::FileSystem& files, const std::string& path, std::string_view uid, int columns,
    const TraceRemains& remains, std::string_view description, int64_t rows,
    const Attempt& attempt) {
  const std::string text(remains.description.has_value() ? std::string_view{*remains.description}
                                                         : description);
  const TraceHeader header = MakeTraceHeader(uid, columns, text);
  std::unique_ptr<FileTraceRepair> repair(new FileTraceRepair(files, path, attempt));
  {
    POLYAK_ASSIGN_OR_RETURN(const auto to,
                            files.Open(repair->copy_, base::FileSystem::Mode::kOverwrite));
    std::string bytes = absl::StrCat(EncodeTraceHeader(header), text);
    bytes.resize(static_cast<size_t>(header.first_block()));
    POLYAK_RETURN_IF_ERROR(to->Write(0, bytes));
    if (remains.first_block.has_value()) {
      POLYAK_ASSIGN_OR_RETURN(const auto from, files.Open(path, base::FileSystem::Mode::kRead));
      for (int64_t done = 0; *remains.first_block + done < remains.size; done += kCopyBytes) {
        POLYAK_ASSIGN_OR_RETURN(bytes, ReadUpTo(*from, *remains.first_block + done, kCopyBytes));
        POLYAK_RETURN_IF_ERROR(to->Write(header.first_block() + done, bytes));
      }
    }
  }
  POLYAK_ASSIGN_OR_RETURN(repair->trace_, FileTrace::OpenToWrite(files, repair->copy_, uid, rows));
  repair->trace_->set_attempt(attempt);
  if (repair->trace_->row_count() != rows) {
    return absl::FailedPreconditionError(absl::StrCat("its trace has ", repair->trace_->row_count(),
                                                      " records, and the job ", rows));
  }
  return repair;
}

FileTraceRepair::~FileTraceRepair() {
  if (!committed_) {
    trace_.reset();
    static_cast<void>(files_.Remove(copy_));  // else the next start does it
  }
}

absl::Status FileTraceRepair::Commit() {
  POLYAK_CHECK(trace_ != nullptr && trace_->synced_rows() == trace_->row_count());
  trace_.reset();
  POLYAK_RETURN_IF_ERROR(attempt_.WhileNewest([this] { return files_.Rename(copy_, path_); }));
  committed_ = true;
  return files_.SyncDirectory(path_.substr(0, path_.rfind('/')));
}

}  // namespace polyak::storage
