#include "server/base/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace polyak::base {
namespace {

absl::Status Error(const char* call, const std::string& path, int number) {
  const std::string text =
      absl::StrCat(call, " ", path, ": ", std::generic_category().message(number));
  switch (number) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status ErrorUnless(bool done, const char* call, const std::string& path) {
  return done ? absl::OkStatus() : Error(call, path, errno);
}

// A call that a signal cut short is made again.
template <typename Call>
auto Repeat(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) {
    result = call();
  }
  return result;
}

class PosixFile : public File {
 public:
  explicit PosixFile(std::string path) : path_(std::move(path)) {}
  ~PosixFile() override {
    if (descriptor_ >= 0) {
      close(descriptor_);
    }
  }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  absl::StatusOr<int64_t> Read(int64_t offset, std::span<char> out) const override {
    size_t done = 0;
    while (done < out.size()) {
      const auto count = Repeat([&] {
        return pread(descriptor_, out.data() + done, out.size() - done,
                     offset + static_cast<int64_t>(done));
      });
      if (count < 0) {
        return Error("read", path_, errno);
      }
      if (count == 0) {
        break;
      }
      done += static_cast<size_t>(count);
    }
    return static_cast<int64_t>(done);
  }

  absl::Status Write(int64_t offset, std::string_view data) override {
    while (!data.empty()) {
      const auto count =
          Repeat([&] { return pwrite(descriptor_, data.data(), data.size(), offset); });
      if (count < 0) {
        return Error("write", path_, errno);
      }
      data.remove_prefix(static_cast<size_t>(count));
      offset += count;
    }
    return absl::OkStatus();
  }

  // Never called again by itself: after a failure the kernel forgets which pages were not written,
  // and says yes the second time.
  absl::Status Sync() override { return ErrorUnless(fdatasync(descriptor_) == 0, "sync", path_); }

  absl::Status Truncate(int64_t size) override {
    return ErrorUnless(Repeat([&] { return ftruncate(descriptor_, size); }) == 0, "truncate",
                       path_);
  }

  void set_descriptor(int descriptor) { descriptor_ = descriptor; }

  absl::StatusOr<int64_t> Size() const override {
    struct stat status = {};
    if (fstat(descriptor_, &status) != 0) {
      return Error("stat", path_, errno);
    }
    return status.st_size;
  }

 private:
  int descriptor_ = -1;
  const std::string path_;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

int Flags(FileSystem::Mode mode) {
  switch (mode) {
    case FileSystem::Mode::kRead:
      return O_RDONLY;
    case FileSystem::Mode::kUpdate:
      return O_RDWR;
    case FileSystem::Mode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case FileSystem::Mode::kOverwrite:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

}  // namespace

absl::StatusOr<std::unique_ptr<File>> PosixFileSystem::Open(const std::string& path, Mode mode) {
  // Made first, so that want of memory leaves no descriptor open, and no empty file behind.
  auto file = std::make_unique<PosixFile>(path);
  // O_NONBLOCK, which files know nothing of: a pipe would wait for somebody at its other end.
  const int flags = Flags(mode) | O_CLOEXEC | O_NONBLOCK;
  const int descriptor = Repeat([&] { return open(path.c_str(), flags, S_IRUSR | S_IWUSR); });
  if (descriptor < 0) {
    return Error("open", path, errno);
  }
  file->set_descriptor(descriptor);
  struct stat status = {};
  if (fstat(descriptor, &status) == 0 && (S_ISDIR(status.st_mode) || S_ISFIFO(status.st_mode))) {
    return absl::UnavailableError(absl::StrCat("open ", path, ": it is not a file, but a ",
                                               S_ISDIR(status.st_mode) ? "directory" : "pipe"));
  }
  return std::unique_ptr<File>(std::move(file));
}

absl::Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  return ErrorUnless(std::rename(from.c_str(), to.c_str()) == 0, "rename", from);
}

absl::Status PosixFileSystem::Remove(const std::string& path) {
  return ErrorUnless(unlink(path.c_str()) == 0, "remove", path);
}

absl::Status PosixFileSystem::SyncDirectory(const std::string& path) {
  const int descriptor =
      Repeat([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0) {
    return Error("open", path, errno);
  }
  absl::Status status = ErrorUnless(fsync(descriptor) == 0, "sync", path);
  close(descriptor);
  return status;
}

absl::Status PosixFileSystem::CreateDirectory(const std::string& path) {
  if (mkdir(path.c_str(), S_IRWXU) == 0) {
    return absl::OkStatus();
  }
  const int number = errno;
  struct stat status = {};
  if (number == EEXIST && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    return absl::OkStatus();
  }
  return Error("create directory", path, number);
}

absl::StatusOr<std::vector<std::string>> PosixFileSystem::List(const std::string& path) const {
  const std::unique_ptr<DIR, CloseDirectory> directory(opendir(path.c_str()));
  if (directory == nullptr) {
    return Error("list", path, errno);
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* const entry = readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") {
      names.push_back(name);
    }
    errno = 0;
  }
  const int number = errno;
  if (number != 0) {
    return Error("list", path, number);
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<bool> PosixFileSystem::Exists(const std::string& path) const {
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0) {
    return true;
  }
  return errno == ENOENT ? absl::StatusOr<bool>(false) : Error("stat", path, errno);
}

absl::StatusOr<int64_t> PosixFileSystem::FreeBytes(const std::string& path) const {
  struct statvfs status = {};
  if (statvfs(path.c_str(), &status) != 0) {
    return Error("statvfs", path, errno);
  }
  return static_cast<int64_t>(status.f_bavail * status.f_frsize);
}

bool IsNetworkFileSystem(int64_t type) {
  // Magic numbers of NFS, CIFS, SMB 1 and 2, AFS and Ceph, as in linux/magic.h or their sources.
  constexpr int64_t kTypes[] = {0x6969, 0xff534d42, 0x517b, 0xfe534d42, 0x5346414f, 0x00c36400};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Acquire(const std::string& path) {
  const std::string file = absl::StrCat(path, "/lock");
  const int descriptor =
      Repeat([&] { return open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR); });
  if (descriptor < 0) {
    return Error("open", file, errno);
  }
  struct statfs kind = {};
  int number = fstatfs(descriptor, &kind) == 0 ? 0 : errno;
  if (number == 0 && IsNetworkFileSystem(kind.f_type)) {
    number = ENOTSUP;
  }
  if (number == 0 && flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    number = errno;
  }
  if (number == 0) {
    return std::unique_ptr<DirectoryLock>(new DirectoryLock(descriptor));
  }
  close(descriptor);
  if (number == EWOULDBLOCK) {
    return absl::FailedPreconditionError(absl::StrCat("another process holds ", file));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("lock ", file, ": ", std::generic_category().message(number),
                   "; accepted: a directory on a local disk, whose file system can lock files"));
}

DirectoryLock::~DirectoryLock() { close(descriptor_); }

}  // namespace polyak::base
