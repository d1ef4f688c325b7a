// What is particular to the machine's own disks. What every file system does is in
// tests/conformance/file_system_test.cc.

#include "server/base/posix_file_system.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"

namespace polyak::base {
namespace {

using Mode = FileSystem::Mode;
using testing_support::TemporaryFolder;

// The exit code of a forked child that runs `work`.
int InAChild(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(work());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

absl::StatusCode LockCode(const std::string& path) {
  return DirectoryLock::Acquire(path).status().code();
}

TEST(PosixFileSystem, NamesThePathAndTheReasonInItsErrors) {
  PosixFileSystem files;
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/missing";
  const absl::Status status = files.Open(path, Mode::kRead).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "No such file or directory")) << status;
}

TEST(PosixFileSystem, AnswersPermissionDeniedWhereTheProcessMayNot) {
  const TemporaryFolder folder;
  const std::string closed = folder.path() + "/closed";
  ASSERT_EQ(mkdir(closed.c_str(), S_IRUSR | S_IXUSR), 0);
  // The superuser may do everything: the child is nobody.
  const int code = InAChild([&] {
    if (getuid() == 0 && (chmod(folder.path().c_str(), 0755) != 0 || setuid(65534) != 0)) {
      return -2;
    }
    PosixFileSystem files;
    return static_cast<int>(files.Open(closed + "/a", Mode::kCreate).status().code());
  });
  EXPECT_EQ(code, static_cast<int>(absl::StatusCode::kPermissionDenied));
}

TEST(PosixFileSystem, OpensNeitherDirectoriesNorPipesAndWaitsForNobody) {
  const TemporaryFolder folder;
  PosixFileSystem files;
  const std::string path = folder.path() + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), S_IRUSR | S_IWUSR), 0);
  for (const Mode mode : {Mode::kRead, Mode::kUpdate}) {
    const absl::Status refused = files.Open(path, mode).status();
    EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
    EXPECT_TRUE(absl::StrContains(refused.message(), "it is not a file, but a pipe")) << refused;
  }
  const absl::Status refused = files.Open(folder.path(), Mode::kRead).status();
  EXPECT_TRUE(absl::StrContains(refused.message(), "it is not a file, but a directory")) << refused;
}

TEST(PosixFileSystem, AnswersResourceExhaustedOnAFullDisk) {
  PosixFileSystem files;
  auto full = files.Open("/dev/full", Mode::kUpdate);
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ((*full)->Write(0, "a").code(), absl::StatusCode::kResourceExhausted);
}

TEST(PosixFileSystem, WritesAllOfWhatTheKernelTakesInPartsAndTellsWhatDidNotFit) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/a";
  // The limit makes the kernel take 1,000 bytes of 1,500, and then none.
  const int code = InAChild([&] {
    const rlimit limit = {1000, 1000};
    std::signal(SIGXFSZ, SIG_IGN);
    PosixFileSystem files;
    auto file = files.Open(path, Mode::kCreate);
    if (!file.ok() || setrlimit(RLIMIT_FSIZE, &limit) != 0) {
      return -2;
    }
    return static_cast<int>((*file)->Write(0, std::string(1500, 'a')).code());
  });
  EXPECT_EQ(code, static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_EQ(std::filesystem::file_size(path), 1000u);
}

TEST(PosixFileSystem, ReadsOnWhereTheKernelGivesAPart) {
  PosixFileSystem files;
  // Of this file the kernel gives at most a page at a time; it is longer by far.
  auto file = files.Open("/proc/self/smaps", Mode::kRead);
  ASSERT_TRUE(file.ok()) << file.status();
  std::string bytes(9000, ' ');
  EXPECT_EQ((*file)->Read(0, bytes).value_or(-1), 9000);
}

TEST(PosixFileSystem, TellsADeviceThatCannotSync) {
  PosixFileSystem files;
  auto device = files.Open("/dev/full", Mode::kUpdate);
  ASSERT_TRUE(device.ok());
  EXPECT_EQ((*device)->Sync().code(), absl::StatusCode::kUnavailable);
}

TEST(PosixFileSystem, MakesFilesAndDirectoriesThatNobodyElseMayRead) {
  PosixFileSystem files;
  const TemporaryFolder folder;
  const std::string directory = folder.path() + "/directory";
  ASSERT_TRUE(files.CreateDirectory(directory).ok());
  ASSERT_TRUE(files.Open(directory + "/a", Mode::kCreate).ok());
  ASSERT_TRUE(DirectoryLock::Acquire(directory).ok());
  for (const std::string& path : {directory, directory + "/a", directory + "/lock"}) {
    struct stat status = {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & (S_IRWXG | S_IRWXO), 0u) << path;
  }
}

TEST(PosixFileSystem, LeavesNoDescriptorOpen) {
  PosixFileSystem files;
  const TemporaryFolder folder;
  const auto descriptors = [&files] { return files.List("/proc/self/fd")->size(); };
  const size_t before = descriptors();
  {
    auto file = files.Open(folder.path() + "/a", Mode::kCreate);
    auto again = files.Open(folder.path() + "/a", Mode::kCreate);
    auto directory = files.Open(folder.path(), Mode::kRead);
    ASSERT_TRUE(file.ok() && !again.ok() && !directory.ok());
    ASSERT_TRUE(files.SyncDirectory(folder.path()).ok());
    auto lock = DirectoryLock::Acquire(folder.path());
    ASSERT_TRUE(lock.ok());
    ASSERT_FALSE(DirectoryLock::Acquire(folder.path()).ok());
    EXPECT_EQ(descriptors(), before + 2);
  }
  EXPECT_EQ(descriptors(), before);
}

TEST(PosixFileSystem, KnowsTheFreeBytesOfADisk) {
  PosixFileSystem files;
  const TemporaryFolder folder;
  const absl::StatusOr<int64_t> bytes = files.FreeBytes(folder.path());
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  // Within 1 GiB, since others write at the same time.
  const auto space = std::filesystem::space(folder.path());
  EXPECT_NEAR(static_cast<double>(*bytes), static_cast<double>(space.available), 1 << 30);
}

TEST(DirectoryLock, IsHeldByOneOfAProcess) {
  const TemporaryFolder folder;
  auto lock = DirectoryLock::Acquire(folder.path());
  ASSERT_TRUE(lock.ok()) << lock.status();
  const absl::Status second = DirectoryLock::Acquire(folder.path()).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(second.message(), folder.path() + "/lock")) << second;
  lock->reset();
  EXPECT_EQ(LockCode(folder.path()), absl::StatusCode::kOk);
}

TEST(DirectoryLock, KeepsAnotherProcessOut) {
  const TemporaryFolder folder;
  const auto lock = DirectoryLock::Acquire(folder.path());
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(InAChild([&] { return static_cast<int>(LockCode(folder.path())); }),
            static_cast<int>(absl::StatusCode::kFailedPrecondition));
}

TEST(DirectoryLock, IsFreeOnceItsHolderIsKilled) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = DirectoryLock::Acquire(folder.path());
    const char answer = lock.ok() ? 'y' : 'n';
    if (write(ready[1], &answer, 1) == 1) {
      pause();
    }
    _exit(1);
  }
  char answer = ' ';
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_EQ(LockCode(folder.path()), absl::StatusCode::kFailedPrecondition);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(LockCode(folder.path()), absl::StatusCode::kOk);
  close(ready[0]);
  close(ready[1]);
}

TEST(DirectoryLock, NeedsADirectory) {
  const TemporaryFolder folder;
  EXPECT_EQ(LockCode(folder.path() + "/missing"), absl::StatusCode::kNotFound);
}

TEST(DirectoryLock, KnowsFileSystemsOfOtherMachines) {
  EXPECT_TRUE(IsNetworkFileSystem(0x6969));       // NFS
  EXPECT_TRUE(IsNetworkFileSystem(0xfe534d42));   // SMB 2
  EXPECT_FALSE(IsNetworkFileSystem(0xef53));      // ext4
  EXPECT_FALSE(IsNetworkFileSystem(0x01021994));  // tmpfs
  EXPECT_FALSE(IsNetworkFileSystem(0x794c7630));  // overlayfs
}

}  // namespace
}  // namespace polyak::base
