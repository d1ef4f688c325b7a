#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace polyak::cli {

// All of a file, or of standard input for "-".
//   what: names its kind in errors: "the spec file".
// Errors: InvalidArgument, with the system's reason, if it can't be read.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, const std::string& what);

}  // namespace polyak::cli
