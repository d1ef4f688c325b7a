#include "server/storage/trace_header.h"

#include "absl/strings/str_cat.h"
#include "server/base/bytes.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/storage/trace_block.h"

namespace polyak::storage {
namespace {

constexpr int64_t kMagic = 0x4543415254594c50;  // "PLYTRACE" in a dump
constexpr int64_t kVersion = 1;
constexpr int64_t kPage = 4096;
constexpr size_t kCrcBytes = sizeof(int64_t);

}  // namespace

int64_t TraceHeader::first_block() const {
  return (kTraceHeaderBytes + description_bytes + kPage - 1) / kPage * kPage;
}

TraceHeader MakeTraceHeader(std::string_view uid, int columns, std::string_view description) {
  POLYAK_CHECK(uid.size() <= kTraceUidSizeMax && columns >= 1 && columns <= kTraceColumnsMax);
  const auto size = static_cast<int64_t>(description.size());
  POLYAK_CHECK(size <= kTraceDescriptionBytesMax);
  return {columns, std::string(uid), size, base::Crc32c(description)};
}

std::string EncodeTraceHeader(const TraceHeader& header) {
  base::StringSink sink;
  sink.WriteInt(kMagic);
  sink.WriteInt(kVersion);
  sink.WriteInt(header.columns);
  sink.WriteInt(kBlockRows);
  sink.WriteInt(header.description_bytes);
  sink.WriteInt(header.description_crc);
  sink.WriteString(header.uid);
  std::string bytes = sink.bytes();
  bytes.resize(kTraceHeaderBytes - kCrcBytes);
  base::StringSink crc;
  crc.WriteInt(base::MaskCrc(base::Crc32c(bytes)));
  return bytes + crc.bytes();
}

absl::StatusOr<TraceHeader> DecodeTraceHeader(std::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) != kTraceHeaderBytes) {
    return absl::DataLossError("the header is cut");
  }
  base::StringSource crc(bytes.substr(kTraceHeaderBytes - kCrcBytes));
  const uint32_t found = base::Crc32c(bytes.substr(0, kTraceHeaderBytes - kCrcBytes));
  if (crc.ReadInt() != base::MaskCrc(found)) {
    return absl::DataLossError("the checksum of the header is wrong");
  }
  base::StringSource source(bytes);
  const int64_t magic = source.ReadInt();
  const int64_t version = source.ReadInt();
  if (magic != kMagic || version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("it is of version ", version, "; accepted: ", kVersion));
  }
  TraceHeader header;
  header.columns = static_cast<int>(source.ReadIntWithin(1, kTraceColumnsMax));
  source.ReadIntWithin(kBlockRows, kBlockRows);
  header.description_bytes = source.ReadIntWithin(0, kTraceDescriptionBytesMax);
  header.description_crc = static_cast<uint32_t>(source.ReadIntWithin(0, UINT32_MAX));
  header.uid = source.ReadString(kTraceUidSizeMax);
  if (!source.status().ok()) {
    return source.status();
  }
  return header;
}

}  // namespace polyak::storage
