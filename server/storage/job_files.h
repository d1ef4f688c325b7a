#pragma once

#include <string>

namespace polyak::storage {

// Where the files of jobs lie below the data directory. Names come from uids alone, never from what
// a client sent.
struct JobFiles {
  std::string data_directory;

  std::string directory() const { return data_directory + "/jobs"; }
  // Files of jobs that the catalogue does not know.
  std::string lost_directory() const { return data_directory + "/lost"; }
  std::string TracePath(const std::string& uid) const { return directory() + "/" + uid + ".trace"; }
  std::string CheckpointPath(const std::string& uid) const {
    return directory() + "/" + uid + ".checkpoint";
  }
};

}  // namespace polyak::storage
