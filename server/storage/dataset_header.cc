#include "server/storage/dataset_header.h"

#include "server/base/bytes.h"
#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/storage/sealed_header.h"

namespace polyak::storage {
namespace {

constexpr HeaderKind kKind = {
    .magic = 0x415441444b594c50,  // "PLYKDATA" in a dump
    .version = 1,
    .bytes = kDatasetHeaderBytes,
};
constexpr int64_t kFormBytesMax = 3000;

}  // namespace

std::string EncodeDatasetHeader(const DatasetHeaderForm& header) {
  const std::string form = header.dataset.SerializeAsString();
  POLYAK_CHECK(static_cast<int64_t>(form.size()) <= kFormBytesMax);
  base::StringSink sink;
  sink.WriteInt(header.values_crc);
  sink.WriteString(form);
  return SealHeader(kKind, sink.bytes());
}

absl::StatusOr<DatasetHeaderForm> DecodeDatasetHeader(std::string_view bytes) {
  POLYAK_ASSIGN_OR_RETURN(const std::string_view fields, UnsealHeader(kKind, bytes));
  base::StringSource source(fields);
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
