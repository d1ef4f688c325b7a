#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "polyak/v1/training_job.pb.h"

namespace polyak::cli {

// A spec from a file in protobuf text format or JSON ('{' first), or from standard input for "-".
// Errors: InvalidArgument with the parser's line and column, or what can't be read.
absl::StatusOr<v1::TrainingJobSpec> ReadSpecFile(const std::string& path);

// The same on text already read; `source` names it in errors.
absl::StatusOr<v1::TrainingJobSpec> ParseSpecText(const std::string& text,
                                                  const std::string& source);

}  // namespace polyak::cli
