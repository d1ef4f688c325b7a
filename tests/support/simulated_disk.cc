#include "tests/support/simulated_disk.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/mutex.h"
#include "server/base/status_macros.h"
#include "tests/support/crash_choices.h"
#include "tests/support/disk_image.h"

namespace polyak::testing_support {

using Kind = DiskOperation::Kind;
using Mode = base::FileSystem::Mode;

// The whole disk; shared with its open files.
struct SimulatedDiskState {
  // Makes the change and keeps it in the log.
  void Do(DiskOperation operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    now.Apply(operation);
    log.push_back(std::move(operation));
  }
  // The disk if only what is durable, and `choice`, of the first `prefix` operations was done.
  DiskImage After(size_t prefix, const CrashChoice& choice) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  mutable base::Mutex mutex;
  DiskImage start ABSL_GUARDED_BY(mutex);  // durable
  DiskImage now ABSL_GUARDED_BY(mutex);
  std::vector<DiskOperation> log ABSL_GUARDED_BY(mutex);
  Inode next_inode ABSL_GUARDED_BY(mutex) = kRootInode + 1;
};

namespace {

absl::Status Refused(const std::string& path, const char* why) {
  return absl::UnavailableError(absl::StrCat(path, ": ", why));
}

// What the first `prefix` operations are worth when the power goes.
enum class Fate { kDurable, kUnsynced, kLost };

std::vector<Fate> Fates(const std::vector<DiskOperation>& log, size_t prefix) {
  POLYAK_CHECK(prefix <= log.size());
  std::vector<Fate> fates(prefix, Fate::kDurable);
  std::map<Inode, std::vector<size_t>> unsynced;
  for (size_t k = 0; k < prefix; ++k) {
    const DiskOperation& operation = log[k];
    std::vector<size_t>& waiting = unsynced[operation.inode];
    if (operation.changes_data() || operation.changes_entries()) {
      fates[k] = Fate::kUnsynced;
      waiting.push_back(k);
      continue;
    }
    for (const size_t before : waiting) {
      if (operation.kind != Kind::kSyncFailed) {
        fates[before] = Fate::kDurable;
      } else if (operation.offset != 0) {
        fates[before] = Fate::kLost;
      }
    }
    waiting.clear();
  }
  return fates;
}

std::vector<size_t> UnsyncedOf(const std::vector<Fate>& fates) {
  std::vector<size_t> unsynced;
  for (size_t k = 0; k < fates.size(); ++k) {
    if (fates[k] == Fate::kUnsynced) {
      unsynced.push_back(k);
    }
  }
  return unsynced;
}

class SimulatedFile : public base::File {
 public:
  SimulatedFile(std::shared_ptr<SimulatedDiskState> state, Inode inode, std::string path,
                bool writable)
      : state_(std::move(state)), inode_(inode), path_(std::move(path)), writable_(writable) {}

  absl::StatusOr<int64_t> Read(int64_t offset, std::span<char> out) const override {
    if (out.empty()) {
      return 0;
    }
    if (offset < 0) {
      return Refused(path_, "Invalid argument");
    }
    const base::MutexLock lock(&state_->mutex);
    const std::string& data = state_->now.node(inode_).data;
    if (offset >= static_cast<int64_t>(data.size())) {
      return 0;
    }
    const size_t begin = static_cast<size_t>(offset);
    const size_t count = std::min(out.size(), data.size() - begin);
    std::copy_n(data.begin() + offset, count, out.begin());
    return static_cast<int64_t>(count);
  }

  absl::Status Write(int64_t offset, std::string_view data) override {
    if (data.empty()) {
      return absl::OkStatus();
    }
    if (!writable_ || offset < 0) {
      return Refused(path_, writable_ ? "Invalid argument" : "Bad file descriptor");
    }
    const base::MutexLock lock(&state_->mutex);
    state_->Do({.kind = Kind::kWrite,
                .path = path_,
                .inode = inode_,
                .offset = offset,
                .data = std::string(data)});
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    const base::MutexLock lock(&state_->mutex);
    state_->Do({.kind = Kind::kSync, .path = path_, .inode = inode_});
    return absl::OkStatus();
  }

  absl::Status Truncate(int64_t size) override {
    if (!writable_ || size < 0) {
      return Refused(path_, "Invalid argument");
    }
    const base::MutexLock lock(&state_->mutex);
    state_->Do({.kind = Kind::kTruncate, .path = path_, .inode = inode_, .offset = size});
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> Size() const override {
    const base::MutexLock lock(&state_->mutex);
    return static_cast<int64_t>(state_->now.node(inode_).data.size());
  }

 private:
  const std::shared_ptr<SimulatedDiskState> state_;
  const Inode inode_;
  const std::string path_;
  const bool writable_;
};

DiskOperation ChangeOfEntries(Kind kind, const std::string& path, const std::string& to,
                              Inode directory, std::vector<DiskOperation::Entry> entries) {
  return {.kind = kind, .path = path, .to = to, .inode = directory, .entries = std::move(entries)};
}

// Whether a directory may become `to`, or a file may.
absl::Status CheckRename(const DiskImage& image, Inode moved, Inode replaced,
                         const std::string& from, const std::string& to) {
  const bool is_directory = image.node(moved).is_directory;
  const std::vector<std::string> old_names = SplitPath(from);
  const std::vector<std::string> new_names = SplitPath(to);
  if (is_directory && old_names.size() < new_names.size() &&
      std::equal(old_names.begin(), old_names.end(), new_names.begin())) {
    return Refused(from, "Invalid argument");
  }
  if (replaced == kNoInode) {
    return absl::OkStatus();
  }
  const DiskImage::Node& target = image.node(replaced);
  if (target.is_directory != is_directory) {
    return Refused(from, is_directory ? "Not a directory" : "Is a directory");
  }
  return target.entries.empty() ? absl::OkStatus() : Refused(from, "Directory not empty");
}

// A write as a loss of power left it.
DiskOperation Torn(DiskOperation write, const Tear& tear) {
  const size_t size = write.data.size();
  POLYAK_CHECK(0 <= tear.bytes && tear.bytes <= static_cast<int64_t>(size));
  write.data.resize(static_cast<size_t>(tear.bytes));
  if (tear.rest == Tear::Rest::kZeros) {
    write.data.resize(size, '\0');
  } else if (tear.rest == Tear::Rest::kJunk) {
    write.data += Junk(size - write.data.size(), tear.seed);
  }
  return write;
}

// The last surviving write, whose end can be torn; nullopt if there is none.
std::optional<size_t> LastWrite(const std::vector<DiskOperation>& log,
                                const std::vector<size_t>& survivors) {
  const auto found = std::find_if(survivors.rbegin(), survivors.rend(),
                                  [&](size_t k) { return log[k].kind == Kind::kWrite; });
  return found == survivors.rend() ? std::nullopt : std::optional<size_t>(*found);
}

std::string FateText(const CrashChoice& choice, size_t operation, std::optional<size_t> torn) {
  if (!std::binary_search(choice.survivors.begin(), choice.survivors.end(), operation)) {
    return "lost";
  }
  if (!choice.tear || torn != operation) {
    return "survives";
  }
  const char* const rests[] = {"unwritten", "zeros", "junk"};
  return absl::StrCat("survives, torn at ", choice.tear->bytes, ", the rest ",
                      rests[static_cast<size_t>(choice.tear->rest)]);
}

std::string DescribeCrash(const std::vector<DiskOperation>& log, size_t prefix,
                          const CrashChoice& choice) {
  std::string text =
      absl::StrCat("power lost after ", prefix, " of ", log.size(), " operations",
                   prefix > 0 ? ", the last of them: " + log[prefix - 1].Describe() : "");
  const std::optional<size_t> torn = LastWrite(log, choice.survivors);
  for (const size_t k : UnsyncedOf(Fates(log, prefix))) {
    absl::StrAppend(&text, "\n  ", k, " ", log[k].Describe(), ": ", FateText(choice, k, torn));
  }
  return text;
}

std::vector<CrashChoice> ChoicesOf(const std::vector<DiskOperation>& log, size_t prefix,
                                   const CrashLimits& limits) {
  const SizeOfLastWrite size_of_last_write =
      [&log](const std::vector<size_t>& survivors) -> std::optional<int64_t> {
    const std::optional<size_t> write = LastWrite(log, survivors);
    return write ? std::optional<int64_t>(log[*write].data.size()) : std::nullopt;
  };
  return MakeCrashChoices(UnsyncedOf(Fates(log, prefix)), size_of_last_write, limits,
                          limits.seed * 1'000'003 + prefix);
}

}  // namespace

DiskImage SimulatedDiskState::After(size_t prefix, const CrashChoice& choice) const {
  const std::vector<Fate> fates = Fates(log, prefix);
  std::vector<bool> survives(prefix, false);
  for (const size_t survivor : choice.survivors) {
    POLYAK_CHECK(survivor < prefix && fates[survivor] == Fate::kUnsynced);
    survives[survivor] = true;
  }
  const std::optional<size_t> torn = LastWrite(log, choice.survivors);
  POLYAK_CHECK(!choice.tear || torn);
  DiskImage image = start;
  for (size_t k = 0; k < prefix; ++k) {
    image.Prepare(log[k]);
    if (choice.tear && torn == k) {
      image.Apply(Torn(log[k], *choice.tear));
    } else if (fates[k] == Fate::kDurable || survives[k]) {
      image.Apply(log[k]);
    }
  }
  return image;
}

SimulatedDisk::SimulatedDisk() : state_(std::make_shared<SimulatedDiskState>()) {}
SimulatedDisk::SimulatedDisk(SimulatedDisk&&) noexcept = default;
SimulatedDisk& SimulatedDisk::operator=(SimulatedDisk&&) noexcept = default;
SimulatedDisk::~SimulatedDisk() = default;

absl::StatusOr<std::unique_ptr<base::File>> SimulatedDisk::Open(const std::string& path,
                                                                Mode mode) {
  const base::MutexLock lock(&state_->mutex);
  POLYAK_ASSIGN_OR_RETURN(const DiskImage::Place place, state_->now.FindPlace(path));
  Inode inode = state_->now.At(place);
  const bool creates = mode == Mode::kCreate || mode == Mode::kOverwrite;
  if (inode == kNoInode && !creates) {
    return absl::NotFoundError(path + ": No such file or directory");
  }
  if (inode != kNoInode && mode == Mode::kCreate) {
    return absl::AlreadyExistsError(path + ": File exists");
  }
  if (inode != kNoInode && state_->now.node(inode).is_directory) {
    return Refused(path, "Is a directory");
  }
  if (inode == kNoInode) {
    inode = state_->next_inode++;
    state_->Do(ChangeOfEntries(Kind::kCreate, path, "", place.directory, {{place.name, inode}}));
  } else if (mode == Mode::kOverwrite) {
    state_->Do({.kind = Kind::kTruncate, .path = path, .inode = inode, .offset = 0});
  }
  return std::make_unique<SimulatedFile>(state_, inode, path, mode != Mode::kRead);
}

absl::Status SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  const base::MutexLock lock(&state_->mutex);
  POLYAK_ASSIGN_OR_RETURN(const DiskImage::Place old_place, state_->now.FindPlace(from));
  POLYAK_ASSIGN_OR_RETURN(const DiskImage::Place new_place, state_->now.FindPlace(to));
  const Inode moved = state_->now.At(old_place);
  const Inode replaced = state_->now.At(new_place);
  if (moved == kNoInode) {
    return absl::NotFoundError(from + ": No such file or directory");
  }
  if (moved == replaced) {
    return absl::OkStatus();  // two names of one file: both stay
  }
  POLYAK_RETURN_IF_ERROR(CheckRename(state_->now, moved, replaced, from, to));
  const DiskOperation::Entry gained = {new_place.name, moved};
  const DiskOperation::Entry lost = {old_place.name, kNoInode};
  if (old_place.directory == new_place.directory) {
    state_->Do(ChangeOfEntries(Kind::kRename, from, to, new_place.directory, {gained, lost}));
  } else {
    state_->Do(ChangeOfEntries(Kind::kRename, from, to, new_place.directory, {gained}));
    state_->Do(ChangeOfEntries(Kind::kRenameAway, from, to, old_place.directory, {lost}));
  }
  return absl::OkStatus();
}

absl::Status SimulatedDisk::Remove(const std::string& path) {
  const base::MutexLock lock(&state_->mutex);
  POLYAK_ASSIGN_OR_RETURN(const DiskImage::Place place, state_->now.FindPlace(path));
  const Inode inode = state_->now.At(place);
  if (inode == kNoInode) {
    return absl::NotFoundError(path + ": No such file or directory");
  }
  if (state_->now.node(inode).is_directory) {
    return Refused(path, "Is a directory");
  }
  state_->Do(ChangeOfEntries(Kind::kRemove, path, "", place.directory, {{place.name, kNoInode}}));
  return absl::OkStatus();
}

absl::Status SimulatedDisk::SyncDirectory(const std::string& path) {
  const base::MutexLock lock(&state_->mutex);
  POLYAK_ASSIGN_OR_RETURN(const Inode inode, state_->now.Find(path));
  if (!state_->now.node(inode).is_directory) {
    return Refused(path, "Not a directory");
  }
  state_->Do({.kind = Kind::kSyncDirectory, .path = path, .inode = inode});
  return absl::OkStatus();
}

absl::Status SimulatedDisk::CreateDirectory(const std::string& path) {
  const base::MutexLock lock(&state_->mutex);
  const absl::StatusOr<Inode> there = state_->now.Find(path);
  if (there.ok()) {
    return state_->now.node(*there).is_directory ? absl::OkStatus()
                                                 : absl::AlreadyExistsError(path + ": File exists");
  }
  POLYAK_ASSIGN_OR_RETURN(const DiskImage::Place place, state_->now.FindPlace(path));
  const Inode inode = state_->next_inode++;
  state_->Do(
      ChangeOfEntries(Kind::kCreateDirectory, path, "", place.directory, {{place.name, inode}}));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SimulatedDisk::List(const std::string& path) const {
  const base::MutexLock lock(&state_->mutex);
  POLYAK_ASSIGN_OR_RETURN(const Inode inode, state_->now.Find(path));
  const DiskImage::Node& node = state_->now.node(inode);
  if (!node.is_directory) {
    return Refused(path, "Not a directory");
  }
  std::vector<std::string> names;
  for (const auto& [name, child] : node.entries) {
    names.push_back(name);
  }
  return names;
}

absl::StatusOr<bool> SimulatedDisk::Exists(const std::string& path) const {
  const base::MutexLock lock(&state_->mutex);
  const absl::StatusOr<Inode> inode = state_->now.Find(path);
  if (inode.ok() || absl::IsNotFound(inode.status())) {
    return inode.ok();
  }
  return inode.status();
}

absl::StatusOr<int64_t> SimulatedDisk::FreeBytes(const std::string& path) const {
  const base::MutexLock lock(&state_->mutex);
  POLYAK_RETURN_IF_ERROR(state_->now.Find(path).status());
  return int64_t{1} << 40;
}

size_t SimulatedDisk::log_size() const {
  const base::MutexLock lock(&state_->mutex);
  return state_->log.size();
}

std::string SimulatedDisk::Describe(size_t operation) const {
  const base::MutexLock lock(&state_->mutex);
  return state_->log.at(operation).Describe();
}

std::string SimulatedDisk::Describe(size_t prefix, const CrashChoice& choice) const {
  const base::MutexLock lock(&state_->mutex);
  return DescribeCrash(state_->log, prefix, choice);
}

std::vector<size_t> SimulatedDisk::Unsynced(size_t prefix) const {
  const base::MutexLock lock(&state_->mutex);
  return UnsyncedOf(Fates(state_->log, prefix));
}

std::vector<CrashChoice> SimulatedDisk::CrashChoices(size_t prefix,
                                                     const CrashLimits& limits) const {
  const base::MutexLock lock(&state_->mutex);
  return ChoicesOf(state_->log, prefix, limits);
}

SimulatedDisk SimulatedDisk::CrashAt(size_t prefix, const CrashChoice& choice) const {
  SimulatedDisk disk;
  const base::MutexLock lock(&state_->mutex);
  const base::MutexLock other_lock(&disk.state_->mutex);
  disk.state_->start = state_->After(prefix, choice);
  disk.state_->now = disk.state_->start;
  disk.state_->next_inode = state_->next_inode;
  return disk;
}

void SimulatedDisk::FailSync(const std::string& path, Cached cached) {
  const base::MutexLock lock(&state_->mutex);
  const absl::StatusOr<Inode> inode = state_->now.Find(path);
  if (!inode.ok() || state_->now.node(*inode).is_directory) {
    return;
  }
  state_->Do({.kind = Kind::kSyncFailed,
              .path = path,
              .inode = *inode,
              .offset = cached == Cached::kDropped ? 1 : 0});
  if (cached == Cached::kDropped) {
    state_->now.SetData(*inode, state_->After(state_->log.size(), {}).node(*inode).data);
  }
}

}  // namespace polyak::testing_support
