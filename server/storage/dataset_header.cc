#include "server/storage/dataset_header.h"

#include "absl/strings/str_cat.h"
#include "server/base/bytes.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"

namespace polyak::storage {
namespace {

constexpr int64_t kMagic = 0x415441444b594c50;  // "PLYKDATA" in a dump
constexpr int64_t kVersion = 1;
constexpr int64_t kFormBytesMax = 3000;
constexpr size_t kCrcBytes = sizeof(int64_t);

}  // namespace

std::string EncodeDatasetHeader(const DatasetHeaderForm& header) {
  const std::string form = header.dataset.SerializeAsString();
  POLYAK_CHECK(static_cast<int64_t>(form.size()) <= kFormBytesMax);
  base::StringSink sink;
  sink.WriteInt(kMagic);
  sink.WriteInt(kVersion);
  sink.WriteInt(header.values_crc);
  sink.WriteString(form);
  std::string bytes = sink.bytes();
  bytes.resize(kDatasetHeaderBytes - kCrcBytes);
  base::StringSink crc;
  crc.WriteInt(base::MaskCrc(base::Crc32c(bytes)));
  return bytes + crc.bytes();
}

absl::StatusOr<DatasetHeaderForm> DecodeDatasetHeader(std::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) != kDatasetHeaderBytes) {
    return absl::DataLossError("the header is cut");
  }
  base::StringSource crc(bytes.substr(kDatasetHeaderBytes - kCrcBytes));
  const uint32_t found = base::Crc32c(bytes.substr(0, kDatasetHeaderBytes - kCrcBytes));
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
  DatasetHeaderForm header;
  header.values_crc = static_cast<uint32_t>(source.ReadIntWithin(0, UINT32_MAX));
  const std::string form = source.ReadString(kFormBytesMax);
  if (!source.status().ok()) {
    return source.status();
  }
  if (!header.dataset.ParseFromString(form)) {
    return absl::DataLossError("the header holds no data set");
  }
  return header;
}

int64_t CountValues(const v1::StoredDataset& dataset) {
  return dataset.examples() * (dataset.input_dimension() + dataset.output_dimension());
}

}  // namespace polyak::storage
