#include "server/storage/catalogue/connection.h"

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/storage/catalogue/copy_file.h"
#include "server/storage/catalogue/schema.h"

namespace polyak::storage {
namespace {

// A path that SQLite does not take for a URI.
std::string PlainPath(const std::string& path) {
  return path.starts_with('/') ? path : absl::StrCat("./", path);
}

// Makes the log of a process that ended without closing it durable before anybody is told of what
// it holds: its last commits may never have been synced. It is written once more, to a new file,
// since that process may have ended because a sync failed: then the kernel shows what it never
// wrote, takes it for written, and no sync of the old file would make it last.
absl::Status RewriteLog(base::FileSystem& files, const std::string& path) {
  const std::string log = path + "-wal";
  const std::string copy = log + ".new";
  POLYAK_ASSIGN_OR_RETURN(const bool exists, files.Exists(log));
  if (!exists) {
    return absl::OkStatus();
  }
  POLYAK_RETURN_IF_ERROR(CopyFile(files, log, copy, base::FileSystem::Mode::kOverwrite));
  POLYAK_RETURN_IF_ERROR(files.Rename(copy, log));
  return files.SyncDirectory(path.substr(0, path.rfind('/') + 1));
}

absl::Status NotWal(const std::string& mode) {
  return absl::UnavailableError(absl::StrCat("journal mode is '", mode, "'; accepted: wal"));
}

}  // namespace

absl::Status Connection::ToStatus(const SQLite::Exception& exception) const {
  constexpr int kPrimary = 0xff;  // the rest of a code says more about the call that failed
  std::string text = exception.what();
  const absl::Status& disk = vfs_.last_error();
  if (!disk.ok()) {
    absl::StrAppend(&text, " (", std::string{disk.message()}, ")");
  }
  switch (exception.getErrorCode() & kPrimary) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat("the catalogue is damaged: ", text));
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status Connection::OpenDatabase(const std::string& path, int checkpoint_pages) {
  database_.emplace(PlainPath(path),
                    SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX, 0,
                    vfs_.name());
  // Before the first access, or SQLite would ask for shared memory.
  database_->exec("PRAGMA locking_mode = EXCLUSIVE");
  database_->exec("PRAGMA mmap_size = 0");
  database_->exec("PRAGMA trusted_schema = OFF");
  database_->exec("PRAGMA cell_size_check = ON");
  database_->exec("PRAGMA temp_store = MEMORY");
  POLYAK_RETURN_IF_ERROR(CheckSchema(*database_));
  const std::string mode = database_->execAndGet("PRAGMA journal_mode = WAL").getString();
  if (mode != "wal") {
    return NotWal(mode);
  }
  database_->exec("PRAGMA synchronous = FULL");
  MigrateSchema(*database_);
  database_->exec(absl::StrCat("PRAGMA wal_autocheckpoint = ", checkpoint_pages));
  return vfs_.frozen();
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(base::FileSystem& files,
                                                             const std::string& path,
                                                             int checkpoint_pages) {
  POLYAK_RETURN_IF_ERROR(RewriteLog(files, path));
  std::unique_ptr<Connection> connection(new Connection(files));
  const absl::Status status =
      connection->Try([&] { return connection->OpenDatabase(path, checkpoint_pages); });
  if (status.ok()) {
    return connection;
  }
  // Whoever is refused must find the file as it was.
  connection->vfs_.Freeze(status);
  return absl::Status(status.code(), absl::StrCat(path, ": ", std::string{status.message()}));
}

}  // namespace polyak::storage
