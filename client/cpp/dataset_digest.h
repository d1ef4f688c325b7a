#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "polyak/v1/dataset_service.pb.h"

namespace polyak::client {

// Whether `count` values are what the sizes of a header ask for.
bool SizesFit(const v1::DatasetHeader& header, size_t count);

// What the server knows a data set by: see StoredDataset.sha256 of dataset_service.proto.
//   header: with its sizes, which fit the values.   Cost: about 1 ns a byte.
std::string DatasetDigest(const v1::DatasetHeader& header, std::span<const double> values);

}  // namespace polyak::client
