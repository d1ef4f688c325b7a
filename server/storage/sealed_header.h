#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace polyak::storage {

// The beginning of a file of a fixed size: magic, version, fields, zeros, and in the last 8 bytes
// the masked CRC-32C of all before (docs/formats/trace.md, docs/formats/dataset.md).
struct HeaderKind {
  int64_t magic;    // the first eight bytes
  int64_t version;  // the one that is written, and the only one that is read
  int64_t bytes;    // of the whole header
};

// The header's bytes.
//   fields: as a base::ByteSink takes them; at most kind.bytes - 24 of them.
std::string SealHeader(const HeaderKind& kind, std::string_view fields);

// The fields, and the zeros behind them; they are part of `bytes`.
//   bytes: the first kind.bytes of a file, or what there is of them.
// Errors: DataLoss if it is not a whole header; FailedPrecondition for one of another kind or
// version.
absl::StatusOr<std::string_view> UnsealHeader(const HeaderKind& kind, std::string_view bytes);

}  // namespace polyak::storage
