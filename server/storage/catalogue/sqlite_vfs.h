#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/base/file_system.h"

namespace polyak::storage {

// SQLite's way to the disk, through a base::FileSystem. Registered with SQLite under name() for as
// long as it lives; serves one connection with locking_mode=EXCLUSIVE, on one thread at a time.
//
// Locks nothing: the data directory is locked as a whole. Has no shared memory (EXCLUSIVE needs
// none), no memory maps and no temporary files (temp_store=MEMORY). A file that it created is
// synced together with its directory.
//
// A failed sync is final (the kernel forgets which pages it could not write), and so is every other
// failure to change a file but that of a full disk, want of memory included: from then on nothing
// is written, whatever SQLite asks for, the checkpoint when the connection is closed included.
class SqliteVfs {
 public:
  explicit SqliteVfs(base::FileSystem& files);
  ~SqliteVfs();
  SqliteVfs(const SqliteVfs&) = delete;
  SqliteVfs& operator=(const SqliteVfs&) = delete;

  const std::string& name() const { return name_; }
  // From now on every call that would change the disk fails.
  void Freeze(const absl::Status& why);
  // Why nothing is written any more; OK while all is well.
  const absl::Status& frozen() const { return frozen_; }
  // The disk's last error, with the path; for messages.
  const absl::Status& last_error() const { return last_error_; }
  void ForgetLastError() { last_error_ = absl::OkStatus(); }

 private:
  struct OpenFile;
  static SqliteVfs& Of(sqlite3_vfs* vfs);
  static OpenFile& Of(sqlite3_file* file);
  static const sqlite3_io_methods& Methods();

  static int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags,
                  int* out_flags);
  static int Delete(sqlite3_vfs* vfs, const char* path, int sync_directory);
  static int Access(sqlite3_vfs* vfs, const char* path, int flags, int* result);
  static int FullPathname(sqlite3_vfs* vfs, const char* path, int size, char* out);

  static int Close(sqlite3_file* file);
  static int Read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset);
  static int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset);
  static int Truncate(sqlite3_file* file, sqlite3_int64 size);
  static int Sync(sqlite3_file* file, int flags);
  static int FileSize(sqlite3_file* file, sqlite3_int64* size);

  absl::StatusOr<std::unique_ptr<base::File>> OpenOrCreate(const std::string& path, int flags,
                                                           bool& created);
  // Remembers an error of the disk. Returns `code`, or SQLITE_OK if it is none.
  int Result(const absl::Status& status, int code);
  // The same for calls that change the disk: an error freezes it.
  int ChangeResult(const absl::Status& status, int code);

  base::FileSystem& files_;
  const std::string name_;
  const absl::Status no_memory_ = absl::UnavailableError("no memory");  // made while there is some
  sqlite3_vfs vfs_ = {};
  absl::Status frozen_;
  absl::Status last_error_;
};

}  // namespace polyak::storage
