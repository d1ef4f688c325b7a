#include "server/storage/checkpoint_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/status_macros.h"

namespace polyak::storage {
namespace {

constexpr int64_t kMagic = 0x54504b434b4c4f50;  // "POLKCKPT"
constexpr int64_t kVersion = 1;
constexpr int64_t kTextSizeMax = 255;
constexpr int64_t kHeaderSizeMax = 4096;
constexpr size_t kChunkSize = 256 * 1024;

int64_t Masked(uint32_t crc) { return base::MaskCrc(crc); }

// All of the header but its CRC, which is 8 bytes.
std::string EncodeWithoutCrc(const CheckpointHead& head, const CheckpointPayload& payload) {
  base::StringSink sink;
  sink.WriteInt(kMagic);
  sink.WriteInt(kVersion);
  sink.WriteInt(payload.offset);
  sink.WriteInt(payload.size);
  sink.WriteInt(Masked(payload.crc));
  sink.WriteInt(head.iteration);
  sink.WriteDouble(head.elapsed_seconds);
  sink.WriteInt(head.float_control);
  sink.WriteString(head.uid);
  sink.WriteString(head.build);
  sink.WriteString(head.processor);
  return sink.bytes();
}

absl::Status CheckVersion(base::ByteSource& in) {
  in.ExpectInt(kMagic, "the magic number");
  in.ExpectInt(kVersion, "the version");
  return in.status();
}

absl::StatusOr<CheckpointHeader> Decode(std::string_view bytes, int64_t file_size) {
  base::StringSource in(bytes);
  POLYAK_RETURN_IF_ERROR(CheckVersion(in));
  CheckpointHeader header;
  header.payload.offset = in.ReadIntWithin(8, static_cast<int64_t>(bytes.size()));
  header.payload.size = in.ReadIntWithin(0, file_size);
  const int64_t payload_crc = in.ReadIntWithin(0, std::numeric_limits<uint32_t>::max());
  header.payload.crc = base::UnmaskCrc(static_cast<uint32_t>(payload_crc));
  header.head.iteration = in.ReadIntWithin(0, std::numeric_limits<int64_t>::max());
  header.head.elapsed_seconds = in.ReadDouble();
  header.head.float_control = in.ReadInt();
  header.head.uid = in.ReadString(kTextSizeMax);
  header.head.build = in.ReadString(kTextSizeMax);
  header.head.processor = in.ReadString(kTextSizeMax);
  POLYAK_RETURN_IF_ERROR(in.status());
  const auto size = static_cast<size_t>(header.payload.offset);
  in.ExpectInt(Masked(base::Crc32c(bytes.substr(0, size - 8))), "the header's CRC");
  POLYAK_RETURN_IF_ERROR(in.status());
  if (CheckpointHeaderSize(header.head) != header.payload.offset) {
    return absl::DataLossError("the header's length is not that of its fields");
  }
  if (header.payload.offset + header.payload.size != file_size) {
    return absl::DataLossError(absl::StrCat("the file is ", file_size, " bytes long; accepted: ",
                                            header.payload.offset + header.payload.size,
                                            ", as its header says"));
  }
  return header;
}

}  // namespace

int64_t CheckpointHeaderSize(const CheckpointHead& head) {
  return static_cast<int64_t>(EncodeWithoutCrc(head, {}).size()) + 8;
}

std::string EncodeCheckpointHeader(const CheckpointHead& head, const CheckpointPayload& payload) {
  POLYAK_CHECK(head.iteration >= 0 && payload.offset == CheckpointHeaderSize(head));
  for (const std::string* text : {&head.uid, &head.build, &head.processor}) {
    POLYAK_CHECK(text->size() <= static_cast<size_t>(kTextSizeMax));
  }
  base::StringSink sink;
  sink.Write(EncodeWithoutCrc(head, payload));
  sink.WriteInt(Masked(base::Crc32c(sink.bytes())));
  return sink.bytes();
}

absl::StatusOr<CheckpointHeader> ReadCheckpointHeader(const base::File& file) {
  POLYAK_ASSIGN_OR_RETURN(const int64_t size, file.Size());
  std::string bytes(static_cast<size_t>(std::min(size, kHeaderSizeMax)), '\0');
  POLYAK_ASSIGN_OR_RETURN(const int64_t count, file.Read(0, bytes));
  bytes.resize(static_cast<size_t>(count));
  return Decode(bytes, size);
}

void FileSink::Write(std::string_view bytes) {
  if (held_.size() + bytes.size() > kChunkSize) {
    WriteThrough(held_);
    held_.clear();
  }
  // What is large is not copied.
  if (bytes.size() >= kChunkSize) {
    WriteThrough(bytes);
  } else {
    held_.append(bytes);
  }
}

absl::Status FileSink::Finish() {
  WriteThrough(held_);
  held_.clear();
  return status_;
}

void FileSink::WriteThrough(std::string_view bytes) {
  // In pieces, so that the CRC finds in the cache what the write takes from it.
  while (status_.ok() && !bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kChunkSize);
    crc_ = base::Crc32c(piece, crc_);
    status_ = file_.Write(end_, piece);
    end_ += static_cast<int64_t>(piece.size());
    bytes.remove_prefix(piece.size());
  }
}

void FileSource::Read(std::span<char> out) {
  if (status().ok() && static_cast<int64_t>(out.size()) > payload_.size - given_) {
    Fail(absl::DataLossError("the bytes end too early"));
  }
  given_ += status().ok() ? static_cast<int64_t>(out.size()) : 0;
  while (status().ok() && !out.empty()) {
    if (buffered_from_ == buffer_.size()) {
      Fill();
      continue;
    }
    const size_t count = std::min(out.size(), buffer_.size() - buffered_from_);
    std::memcpy(out.data(), buffer_.data() + buffered_from_, count);
    buffered_from_ += count;
    out = out.subspan(count);
  }
  if (status().ok() && given_ == payload_.size && crc_ != payload_.crc) {
    Fail(absl::DataLossError("the payload is not what it was a moment ago: its CRC has changed"));
  }
}

void FileSource::Fill() {
  buffer_.resize(std::min(kChunkSize, static_cast<size_t>(payload_.size - read_)));
  buffered_from_ = 0;
  const absl::StatusOr<int64_t> count = file_->Read(payload_.offset + read_, buffer_);
  if (!count.ok()) {
    Fail(count.status());
  } else if (*count != static_cast<int64_t>(buffer_.size())) {
    Fail(absl::DataLossError("the file ends before its payload"));
  }
  crc_ = base::Crc32c({buffer_.data(), buffer_.size()}, crc_);
  read_ += static_cast<int64_t>(buffer_.size());
}

absl::Status VerifyCheckpointPayload(const base::File& file, const CheckpointPayload& payload) {
  std::vector<char> chunk(std::min(kChunkSize, static_cast<size_t>(payload.size)));
  uint32_t crc = 0;
  for (int64_t done = 0; done < payload.size;) {
    const auto wanted = std::min(static_cast<int64_t>(chunk.size()), payload.size - done);
    const std::span<char> piece(chunk.data(), static_cast<size_t>(wanted));
    POLYAK_ASSIGN_OR_RETURN(const int64_t count, file.Read(payload.offset + done, piece));
    if (count != wanted) {
      return absl::DataLossError("the file ends before its payload");
    }
    crc = base::Crc32c({piece.data(), piece.size()}, crc);
    done += wanted;
  }
  return crc == payload.crc ? absl::OkStatus() : absl::DataLossError("the payload's CRC is wrong");
}

}  // namespace polyak::storage
