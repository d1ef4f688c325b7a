#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "server/base/check.h"

namespace polyak::testing_support {

// A folder of the machine's disk that is gone with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    path_ = (std::filesystem::temp_directory_path() / "polyak-test-XXXXXX").string();
    POLYAK_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace polyak::testing_support
