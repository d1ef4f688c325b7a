#include "server/storage/catalogue/copy_file.h"

#include <cstdint>
#include <memory>
#include <string_view>

#include "server/base/status_macros.h"

namespace polyak::storage {

absl::Status CopyFile(base::FileSystem& files, const std::string& from_path,
                      const std::string& to_path, base::FileSystem::Mode mode) {
  POLYAK_ASSIGN_OR_RETURN(const auto from, files.Open(from_path, base::FileSystem::Mode::kRead));
  POLYAK_ASSIGN_OR_RETURN(const auto to, files.Open(to_path, mode));
  std::string bytes(size_t{1} << 20, '\0');
  for (int64_t offset = 0;;) {
    POLYAK_ASSIGN_OR_RETURN(const int64_t count, from->Read(offset, bytes));
    if (count == 0) {
      return to->Sync();
    }
    POLYAK_RETURN_IF_ERROR(
        to->Write(offset, std::string_view{bytes}.substr(0, static_cast<size_t>(count))));
    offset += count;
  }
}

}  // namespace polyak::storage
