#include "server/storage/catalogue/sqlite_vfs.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"

namespace polyak::storage {
namespace {

constexpr int kPathMax = 4096;
// What a write may touch beside its own bytes; nothing depends on it with POWERSAFE_OVERWRITE.
constexpr int kSectorBytes = 4096;

std::string UniqueName() {
  static std::atomic<int64_t> count = 0;
  return absl::StrCat("polyak-", ++count);
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// SQLite's own VFS of this system: for what has nothing to do with files.
sqlite3_vfs* SystemVfs() { return sqlite3_vfs_find(nullptr); }

int Randomness(sqlite3_vfs* /*vfs*/, int size, char* out) {
  return SystemVfs()->xRandomness(SystemVfs(), size, out);
}
int Sleep(sqlite3_vfs* /*vfs*/, int microseconds) {
  return SystemVfs()->xSleep(SystemVfs(), microseconds);
}
int CurrentTime(sqlite3_vfs* /*vfs*/, double* out) {
  return SystemVfs()->xCurrentTime(SystemVfs(), out);
}
int GetLastError(sqlite3_vfs* /*vfs*/, int /*size*/, char* /*out*/) { return 0; }

int Lock(sqlite3_file* /*file*/, int /*level*/) { return SQLITE_OK; }
int CheckReservedLock(sqlite3_file* /*file*/, int* held) {
  *held = 0;
  return SQLITE_OK;
}
int FileControl(sqlite3_file* /*file*/, int /*operation*/, void* /*argument*/) {
  return SQLITE_NOTFOUND;
}
int SectorSize(sqlite3_file* /*file*/) { return kSectorBytes; }
int DeviceCharacteristics(sqlite3_file* /*file*/) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

}  // namespace

// Lives in memory that SQLite provides.
struct SqliteVfs::OpenFile : sqlite3_file {
  SqliteVfs* vfs;
  std::unique_ptr<base::File> file;
  std::string path;
  int64_t size;  // only this process changes it
  bool created;  // and its directory not synced since
};

SqliteVfs& SqliteVfs::Of(sqlite3_vfs* vfs) { return *static_cast<SqliteVfs*>(vfs->pAppData); }
SqliteVfs::OpenFile& SqliteVfs::Of(sqlite3_file* file) { return *static_cast<OpenFile*>(file); }

SqliteVfs::SqliteVfs(base::FileSystem& files) : files_(files), name_(UniqueName()) {
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(OpenFile);
  vfs_.mxPathname = kPathMax;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  vfs_.xAccess = Access;
  vfs_.xFullPathname = FullPathname;
  vfs_.xRandomness = Randomness;
  vfs_.xSleep = Sleep;
  vfs_.xCurrentTime = CurrentTime;
  vfs_.xGetLastError = GetLastError;
  POLYAK_CHECK(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
}

SqliteVfs::~SqliteVfs() { sqlite3_vfs_unregister(&vfs_); }

const sqlite3_io_methods& SqliteVfs::Methods() {
  static const sqlite3_io_methods methods = [] {
    sqlite3_io_methods made = {};
    made.iVersion = 1;  // without shared memory and maps
    made.xClose = Close;
    made.xRead = Read;
    made.xWrite = Write;
    made.xTruncate = Truncate;
    made.xSync = Sync;
    made.xFileSize = FileSize;
    made.xLock = Lock;
    made.xUnlock = Lock;
    made.xCheckReservedLock = CheckReservedLock;
    made.xFileControl = FileControl;
    made.xSectorSize = SectorSize;
    made.xDeviceCharacteristics = DeviceCharacteristics;
    return made;
  }();
  return methods;
}

void SqliteVfs::Freeze(const absl::Status& why) {
  if (frozen_.ok()) {
    frozen_ = why;
  }
}

int SqliteVfs::Result(const absl::Status& status, int code) {
  if (status.ok()) {
    return SQLITE_OK;
  }
  last_error_ = status;
  return code;
}

int SqliteVfs::ChangeResult(const absl::Status& status, int code) {
  if (!status.ok()) {
    Freeze(status);
  }
  return Result(status, code);
}

absl::StatusOr<std::unique_ptr<base::File>> SqliteVfs::OpenOrCreate(const std::string& path,
                                                                    int flags, bool& created) {
  created = false;
  if ((flags & SQLITE_OPEN_READWRITE) == 0) {
    return files_.Open(path, base::FileSystem::Mode::kRead);
  }
  auto file = files_.Open(path, base::FileSystem::Mode::kUpdate);
  if (!absl::IsNotFound(file.status()) || (flags & SQLITE_OPEN_CREATE) == 0) {
    return file;
  }
  if (!frozen_.ok()) {
    return frozen_;
  }
  created = true;
  return files_.Open(path, base::FileSystem::Mode::kCreate);
}

// No exception may pass through SQLite, which is C: it would leave its locks and its state
// half-way.

int SqliteVfs::Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags,
                    int* out_flags) try {
  file->pMethods = nullptr;
  SqliteVfs& self = Of(vfs);
  if (path == nullptr || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0) {
    return self.Result(absl::UnavailableError("SQLite asked for a temporary file"),
                       SQLITE_CANTOPEN);
  }
  bool created = false;
  auto opened = self.OpenOrCreate(path, flags, created);
  if (!opened.ok()) {
    return self.Result(opened.status(), SQLITE_CANTOPEN);
  }
  const auto size = (*opened)->Size();
  if (!size.ok()) {
    return self.Result(size.status(), SQLITE_IOERR_FSTAT);
  }
  new (file) OpenFile{{&Methods()}, &self, *std::move(opened), path, *size, created};
  if (out_flags != nullptr) {
    *out_flags = flags;
  }
  return SQLITE_OK;
} catch (const std::bad_alloc&) {
  file->pMethods = nullptr;  // SQLite would close it
  return Of(vfs).Result(Of(vfs).no_memory_, SQLITE_IOERR_NOMEM);
}

int SqliteVfs::Delete(sqlite3_vfs* vfs, const char* path, int sync_directory) try {
  SqliteVfs& self = Of(vfs);
  if (!self.frozen_.ok()) {
    return SQLITE_IOERR_DELETE;
  }
  const absl::Status removed = self.files_.Remove(path);
  if (absl::IsNotFound(removed)) {
    return SQLITE_IOERR_DELETE_NOENT;
  }
  if (!removed.ok() || sync_directory == 0) {
    return self.ChangeResult(removed, SQLITE_IOERR_DELETE);
  }
  return self.ChangeResult(self.files_.SyncDirectory(DirectoryOf(path)), SQLITE_IOERR_DIR_FSYNC);
} catch (const std::bad_alloc&) {
  return Of(vfs).ChangeResult(Of(vfs).no_memory_, SQLITE_IOERR_NOMEM);
}

int SqliteVfs::Access(sqlite3_vfs* vfs, const char* path, int /*flags*/, int* result) try {
  SqliteVfs& self = Of(vfs);
  const auto exists = self.files_.Exists(path);
  *result = exists.ok() && *exists ? 1 : 0;
  return self.Result(exists.status(), SQLITE_IOERR_ACCESS);
} catch (const std::bad_alloc&) {
  return Of(vfs).Result(Of(vfs).no_memory_, SQLITE_IOERR_NOMEM);
}

int SqliteVfs::FullPathname(sqlite3_vfs* /*vfs*/, const char* path, int size, char* out) {
  const size_t length = std::strlen(path);
  if (length + 1 > static_cast<size_t>(size)) {
    return SQLITE_CANTOPEN;
  }
  std::memcpy(out, path, length + 1);
  return SQLITE_OK;
}

int SqliteVfs::Close(sqlite3_file* file) {
  Of(file).~OpenFile();
  return SQLITE_OK;
}

int SqliteVfs::Read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) try {
  OpenFile& open = Of(file);
  const std::span<char> bytes(static_cast<char*>(out), static_cast<size_t>(size));
  const auto count = open.file->Read(offset, bytes);
  if (!count.ok()) {
    return open.vfs->Result(count.status(), SQLITE_IOERR_READ);
  }
  if (*count == size) {
    return SQLITE_OK;
  }
  const auto rest = bytes.subspan(static_cast<size_t>(*count));
  std::fill(rest.begin(), rest.end(), '\0');  // SQLite relies on it
  return SQLITE_IOERR_SHORT_READ;
} catch (const std::bad_alloc&) {
  return Of(file).vfs->Result(Of(file).vfs->no_memory_, SQLITE_IOERR_NOMEM);
}

int SqliteVfs::Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) try {
  OpenFile& open = Of(file);
  if (!open.vfs->frozen_.ok()) {
    return SQLITE_IOERR_WRITE;
  }
  const absl::Status written = open.file->Write(
      offset, std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
  if (written.ok()) {
    open.size = std::max(open.size, int64_t{offset} + size);
    return SQLITE_OK;
  }
  if (!absl::IsResourceExhausted(written)) {
    return open.vfs->ChangeResult(written, SQLITE_IOERR_WRITE);
  }
  // What a short append left is cut off: it must not outlive an answer that says it is not there.
  if (offset + size > open.size) {
    if (absl::Status cut = open.file->Truncate(open.size); !cut.ok()) {
      return open.vfs->ChangeResult(cut, SQLITE_IOERR_TRUNCATE);
    }
  }
  return open.vfs->Result(written, SQLITE_FULL);
} catch (const std::bad_alloc&) {
  return Of(file).vfs->ChangeResult(Of(file).vfs->no_memory_, SQLITE_IOERR_NOMEM);
}

int SqliteVfs::Truncate(sqlite3_file* file, sqlite3_int64 size) try {
  OpenFile& open = Of(file);
  if (!open.vfs->frozen_.ok()) {
    return SQLITE_IOERR_TRUNCATE;
  }
  const absl::Status cut = open.file->Truncate(size);
  if (cut.ok()) {
    open.size = size;
  }
  return open.vfs->ChangeResult(cut, SQLITE_IOERR_TRUNCATE);
} catch (const std::bad_alloc&) {
  return Of(file).vfs->ChangeResult(Of(file).vfs->no_memory_, SQLITE_IOERR_NOMEM);
}

int SqliteVfs::Sync(sqlite3_file* file, int /*flags*/) try {
  OpenFile& open = Of(file);
  if (!open.vfs->frozen_.ok()) {
    return SQLITE_IOERR_FSYNC;
  }
  // A full disk here is a failed sync like any other.
  if (absl::Status synced = open.file->Sync(); !synced.ok()) {
    return open.vfs->ChangeResult(synced, SQLITE_IOERR_FSYNC);
  }
  if (open.created) {
    const absl::Status synced = open.vfs->files_.SyncDirectory(DirectoryOf(open.path));
    if (!synced.ok()) {
      return open.vfs->ChangeResult(synced, SQLITE_IOERR_DIR_FSYNC);
    }
    open.created = false;
  }
  return SQLITE_OK;
} catch (const std::bad_alloc&) {
  return Of(file).vfs->ChangeResult(Of(file).vfs->no_memory_, SQLITE_IOERR_NOMEM);
}

int SqliteVfs::FileSize(sqlite3_file* file, sqlite3_int64* size) {
  *size = Of(file).size;
  return SQLITE_OK;
}

}  // namespace polyak::storage
