#include "server/storage/sealed_header.h"

#include "absl/strings/str_cat.h"
#include "server/base/bytes.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"

namespace polyak::storage {
namespace {

constexpr size_t kCrcBytes = sizeof(int64_t);
constexpr size_t kBytesBeforeFields = 2 * sizeof(int64_t);

}  // namespace

std::string SealHeader(const HeaderKind& kind, std::string_view fields) {
  const size_t sealed = static_cast<size_t>(kind.bytes) - kCrcBytes;
  POLYAK_CHECK(kBytesBeforeFields + fields.size() <= sealed);
  base::StringSink begin;
  begin.WriteInt(kind.magic);
  begin.WriteInt(kind.version);
  begin.Write(fields);
  std::string bytes = begin.bytes();
  bytes.resize(sealed);
  base::StringSink crc;
  crc.WriteInt(base::MaskCrc(base::Crc32c(bytes)));
  return bytes + crc.bytes();
}

absl::StatusOr<std::string_view> UnsealHeader(const HeaderKind& kind, std::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) != kind.bytes) {
    return absl::DataLossError("the header is cut");
  }
  const std::string_view sealed = bytes.substr(0, bytes.size() - kCrcBytes);
  base::StringSource crc(bytes.substr(sealed.size()));
  if (crc.ReadInt() != base::MaskCrc(base::Crc32c(sealed))) {
    return absl::DataLossError("the checksum of the header is wrong");
  }
  base::StringSource source(sealed);
  const int64_t magic = source.ReadInt();
  const int64_t version = source.ReadInt();
  if (magic != kind.magic || version != kind.version) {
    return absl::FailedPreconditionError(
        absl::StrCat("it is of version ", version, "; accepted: ", kind.version));
  }
  return sealed.substr(kBytesBeforeFields);
}

}  // namespace polyak::storage
