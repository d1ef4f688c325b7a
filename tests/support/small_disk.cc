#include "tests/support/small_disk.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "tests/support/process.h"

namespace polyak::testing_support {
namespace {

bool WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// A namespace of mounts in which this process may mount: as root, or as root of a user namespace.
bool EnterNamespace() {
  if (unshare(CLONE_NEWNS) == 0) {
    return true;
  }
  const uid_t user = getuid();
  const gid_t group = getgid();
  return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && WriteText("/proc/self/setgroups", "deny") &&
         WriteText("/proc/self/uid_map", absl::StrCat("0 ", user, " 1")) &&
         WriteText("/proc/self/gid_map", absl::StrCat("0 ", group, " 1"));
}

}  // namespace

std::unique_ptr<SmallDisk> SmallDisk::Mount(int mebibytes, std::string& why) {
  std::string path = (std::filesystem::temp_directory_path() / "polyak-disk-XXXXXX").string();
  POLYAK_CHECK(mkdtemp(path.data()) != nullptr);
  const std::string size = absl::StrCat("size=", mebibytes, "m");
  // Private: what is mounted here is not mounted outside.
  if (EnterNamespace() && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
      mount("polyak-test", path.c_str(), "tmpfs", 0, size.c_str()) == 0) {
    return std::unique_ptr<SmallDisk>(new SmallDisk(path));
  }
  why = absl::StrCat("a tmpfs can't be mounted: ", std::strerror(errno));
  rmdir(path.c_str());
  return nullptr;
}

SmallDisk::~SmallDisk() {
  umount2(path_.c_str(), MNT_DETACH);
  rmdir(path_.c_str());
}

int64_t SmallDisk::FreeBytes() const {
  struct statvfs state = {};
  POLYAK_CHECK(statvfs(path_.c_str(), &state) == 0);
  return static_cast<int64_t>(state.f_bavail) * static_cast<int64_t>(state.f_frsize);
}

void SmallDisk::Fill(int64_t leave) const {
  std::vector<std::string> arguments = {"if=/dev/zero", "of=" + FillerPath(), "bs=64K",
                                        "status=none"};
  if (leave > 0) {
    arguments.emplace_back("iflag=count_bytes");
    arguments.push_back(absl::StrCat("count=", std::max<int64_t>(FreeBytes() - leave, 0)));
  }
  const Outcome outcome = RunProgram("/bin/dd", arguments);
  // Others write meanwhile, so that a write may fail in any case.
  POLYAK_CHECK(outcome.exit_code == 1 || (outcome.exit_code == 0 && leave > 0));
}

void SmallDisk::Free() const { POLYAK_CHECK(unlink(FillerPath().c_str()) == 0); }

}  // namespace polyak::testing_support
