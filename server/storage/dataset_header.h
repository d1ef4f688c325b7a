#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "polyak/v1/dataset_service.pb.h"

namespace polyak::storage {

// The first bytes of a data set's file, as docs/formats/dataset.md has them; its values follow.
struct DatasetHeaderForm {
  v1::StoredDataset dataset;
  uint32_t values_crc = 0;  // CRC-32C of the values behind the header
};
inline constexpr int64_t kDatasetHeaderBytes = 4096;

// Of a data set whose serialized form has up to 3 kB.
std::string EncodeDatasetHeader(const DatasetHeaderForm& header);
// bytes: the first kDatasetHeaderBytes of a file.
// Errors: DataLoss if it is not a whole header; FailedPrecondition for one of another version.
absl::StatusOr<DatasetHeaderForm> DecodeDatasetHeader(std::string_view bytes);

// n (d_x + d_y).
int64_t CountValues(const v1::StoredDataset& dataset);

}  // namespace polyak::storage
