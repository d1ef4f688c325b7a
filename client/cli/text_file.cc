#include "client/cli/text_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace polyak::cli {

absl::StatusOr<std::string> ReadTextFile(const std::string& path, const std::string& what) {
  const auto cant_read = [&](const std::string& why) {
    return absl::InvalidArgumentError(absl::StrCat("can't read ", what, " '", path, "': ", why));
  };
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  // A directory opens like a file, and is empty when it is read.
  std::error_code no_matter;
  if (std::filesystem::is_directory(path, no_matter)) {
    return cant_read("it is a directory");
  }
  errno = 0;
  std::ifstream file(path);
  if (!file) {
    return cant_read(std::strerror(errno));
  }
  for (std::string part(1 << 16, '\0'); file.good();) {
    file.read(part.data(), static_cast<std::streamsize>(part.size()));
    text.write(part.data(), file.gcount());
  }
  if (file.bad() || (text.str().empty() && errno != 0)) {
    return cant_read(errno == 0 ? "reading failed" : std::strerror(errno));
  }
  return text.str();
}

}  // namespace polyak::cli
