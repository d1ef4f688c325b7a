#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace polyak::base {

// The disk comes in through here, so that tests can fail any call, fill it up, and cut its power.
//
// What is durable, after a loss of power: of a file, what was written before its last Sync; of a
// directory's entries (creations, renames, removals), those before its last SyncDirectory. All else
// may be there, in part, or not.
//
// Errors, of every call, with the path and the system's message: NotFound; AlreadyExists;
// ResourceExhausted when the disk or a quota is full; PermissionDenied; Unavailable for all else.

// An open file. Reads from any thread; one thread at a time for the rest.
class File {
 public:
  virtual ~File() = default;  // closes, without a Sync
  // Fills `out` from the byte at `offset`. Returns how many bytes: fewer only at the end of the
  // file.
  virtual absl::StatusOr<int64_t> Read(int64_t offset, std::span<char> out) const = 0;
  // All of `data`, or an error; then any part of it may have been written. Beyond the end, the gap
  // reads as zeros.
  virtual absl::Status Write(int64_t offset, std::string_view data) = 0;
  // Makes data and length durable. After an error nothing is known about what was written since the
  // last success, and another Sync that succeeds says nothing about it either: open the file anew
  // and look.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Truncate(int64_t size) = 0;
  virtual absl::StatusOr<int64_t> Size() const = 0;
};

// Safe from any thread.
class FileSystem {
 public:
  enum class Mode {
    kRead,       // must exist
    kUpdate,     // must exist; read and written
    kCreate,     // must not exist; read and written
    kOverwrite,  // created, or cut to nothing; read and written
  };
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, Mode mode) = 0;
  // Replaces `to` in one step.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
  // Makes the entries of a directory durable.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  // OK if it is there already. Its parent must exist.
  virtual absl::Status CreateDirectory(const std::string& path) = 0;
  // Names, without "." and "..", sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& path) const = 0;
  virtual absl::StatusOr<bool> Exists(const std::string& path) const = 0;
  // Bytes that this process can still write under `path`.
  virtual absl::StatusOr<int64_t> FreeBytes(const std::string& path) const = 0;
};

}  // namespace polyak::base
