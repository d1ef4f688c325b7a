#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/base/file_system.h"

namespace polyak::storage {

// Copies a file's bytes and makes them durable; the new name is, once its directory was synced.
//   mode: kCreate or kOverwrite, of the copy.
// Errors: those of the disk.   Cost: 1 MiB of memory.
absl::Status CopyFile(base::FileSystem& files, const std::string& from_path,
                      const std::string& to_path, base::FileSystem::Mode mode);

}  // namespace polyak::storage
