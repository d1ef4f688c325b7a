#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace polyak::storage {

// The beginning of a trace's file: docs/formats/trace.md.
constexpr int64_t kTraceHeaderBytes = 512;  // then the description
constexpr size_t kTraceUidSizeMax = 256;
constexpr int kTraceColumnsMax = 64;
constexpr int64_t kTraceDescriptionBytesMax = int64_t{1} << 30;

struct TraceHeader {
  int columns = 0;
  std::string uid;  // of the job
  int64_t description_bytes = 0;
  uint32_t description_crc = 0;
  // Where the first block begins: a multiple of 4,096.
  int64_t first_block() const;
};

// A description is what the caller wants to find again: the job, as it was when it started.
TraceHeader MakeTraceHeader(std::string_view uid, int columns, std::string_view description);
// The bytes up to the description: kTraceHeaderBytes of them.
std::string EncodeTraceHeader(const TraceHeader& header);
// Errors: DataLoss if it is not whole; FailedPrecondition if another version wrote it.
absl::StatusOr<TraceHeader> DecodeTraceHeader(std::string_view bytes);

}  // namespace polyak::storage
