#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/base/file_system.h"

namespace polyak::base {

// The machine's disks.
class PosixFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) const override;
  absl::StatusOr<bool> Exists(const std::string& path) const override;
  absl::StatusOr<int64_t> FreeBytes(const std::string& path) const override;
};

// Whether a file system, by its statfs type, is of another machine: what is said here of Sync and
// of locks is not true there.
bool IsNetworkFileSystem(int64_t type);

// Held by one process at a time, and let go when it ends, however it ends.
class DirectoryLock {
 public:
  // Locks `path`/lock, which is made if it is missing.
  // Errors: FailedPrecondition if another process has it, or if the file system can't lock (network
  // file systems are refused); others as FileSystem.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Acquire(const std::string& path);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
  const int descriptor_;
};

}  // namespace polyak::base
