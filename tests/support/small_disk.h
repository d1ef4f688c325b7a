#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace polyak::testing_support {

// A real file system of a few MiB in memory, to be filled to its last byte. Only this process and
// the children that it starts from then on see it.
class SmallDisk {
 public:
  // Null where this process may not mount anything, neither by itself nor in a user namespace of
  // its own; then `why` says so. To be called before the first thread is started, and once.
  static std::unique_ptr<SmallDisk> Mount(int mebibytes, std::string& why);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  const std::string& path() const { return path_; }
  int64_t FreeBytes() const;
  // Another process writes a file until only `leave` bytes are free; with 0 until a write fails.
  void Fill(int64_t leave) const;
  // Removes that file.
  void Free() const;

 private:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {}
  std::string FillerPath() const { return path_ + "/filler"; }

  const std::string path_;
};

}  // namespace polyak::testing_support
