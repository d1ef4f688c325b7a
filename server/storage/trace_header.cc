#include "server/storage/trace_header.h"

#include "server/base/bytes.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/status_macros.h"
#include "server/storage/sealed_header.h"
#include "server/storage/trace_block.h"

namespace polyak::storage {
namespace {

constexpr HeaderKind kKind = {
    .magic = 0x4543415254594c50,  // "PLYTRACE" in a dump
    .version = 1,
    .bytes = kTraceHeaderBytes,
};
constexpr int64_t kPage = 4096;

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
  sink.WriteInt(header.columns);
  sink.WriteInt(kBlockRows);
  sink.WriteInt(header.description_bytes);
  sink.WriteInt(header.description_crc);
  sink.WriteString(header.uid);
  return SealHeader(kKind, sink.bytes());
}

absl::StatusOr<TraceHeader> DecodeTraceHeader(std::string_view bytes) {
  POLYAK_ASSIGN_OR_RETURN(const std::string_view fields, UnsealHeader(kKind, bytes));
  base::StringSource source(fields);
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
