#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/file_system.h"
#include "server/storage/catalogue/sqlite_vfs.h"

namespace polyak::storage {

// The only connection to a catalogue. One thread at a time.
class Connection {
 public:
  // Opens the file, or makes it; leaves it in WAL mode, synced at every commit, with the tables of
  // schema.h at the newest version, and everything that can be read from it durable.
  //   checkpoint_pages: of the log, after which a commit copies it into the file.
  // Cost: O(1) in the number of jobs; the log is read and written once if it was not closed.
  // Errors: FailedPrecondition for a file of another program or of a newer version, which stays as
  // it is; DataLoss for a damaged one; others as FileSystem.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(base::FileSystem& files,
                                                          const std::string& path,
                                                          int checkpoint_pages = 1000);
  // Copies the log into the file and deletes it, unless the disk is frozen.
  ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  SQLite::Database& database() { return *database_; }
  SqliteVfs& vfs() { return vfs_; }

  // Calls `call`, which returns a Status or a StatusOr; SQLite's exceptions end here.
  // Errors: ResourceExhausted if the disk is full; DataLoss if the file is damaged; Unavailable for
  // all else.
  template <typename Call>
  auto Try(Call call) -> decltype(call()) {
    vfs_.ForgetLastError();
    try {
      return call();
    } catch (const SQLite::Exception& exception) {
      return ToStatus(exception);
    }
  }

 private:
  explicit Connection(base::FileSystem& files) : vfs_(files) {}
  absl::Status OpenDatabase(const std::string& path, int checkpoint_pages);
  absl::Status ToStatus(const SQLite::Exception& exception) const;

  SqliteVfs vfs_;  // outlives the database
  std::optional<SQLite::Database> database_;
};

}  // namespace polyak::storage
