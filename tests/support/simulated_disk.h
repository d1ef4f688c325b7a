#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/base/file_system.h"

namespace polyak::testing_support {

// What is left of the last unsynced write that survives a loss of power. Bytes outside the range
// that was written are never touched.
struct Tear {
  enum class Rest {
    kUnwritten,  // as before the write: an append ends here
    kZeros,
    kJunk,
  };
  int64_t bytes = 0;  // from the write's start, that were written
  Rest rest = Rest::kUnwritten;
  uint64_t seed = 0;  // of the junk
};

// Which unsynced operations survive a loss of power.
struct CrashChoice {
  std::vector<size_t> survivors;  // numbers of operations in the log, rising; {}: none
  std::optional<Tear> tear;       // only if a write is among the survivors
};

// How many choices a crash point has.
struct CrashLimits {
  size_t exhaustive_max = 10;  // up to so many unsynced operations: every subset
  size_t random_subsets = 64;  // with more: as many, beside none, all, each dropped, each alone
  uint64_t seed = 1;
  bool with_tears = true;
};

struct SimulatedDiskState;

// A disk in memory whose power can be cut after any operation. Starts with an empty root directory,
// "/". Safe from any thread.
//
// Each change of a file (write, truncation) and of a directory's entries (creation, rename,
// removal) is one operation of a log, and so is each Sync and SyncDirectory. Calls that fail, or
// change nothing, are in no log. Changes of a file are durable once a later Sync of it succeeded,
// changes of entries once their directory was synced: a file may have data and no name, or the
// other way round. A rename from one directory to another is two operations, the new name and the
// loss of the old one. Reads see everything, as through a page cache.
//
// To test recovery: run the program once; then for each prefix of the log, and for each choice of
// CrashChoices(prefix), start it on CrashAt(prefix, choice). What it acknowledged when log_size()
// was at most `prefix` must be there. The new disk has a log of its own, so that the recovery can
// be cut as well.
class SimulatedDisk : public base::FileSystem {
 public:
  SimulatedDisk();
  SimulatedDisk(SimulatedDisk&&) noexcept;
  SimulatedDisk& operator=(SimulatedDisk&&) noexcept;
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;
  ~SimulatedDisk() override;  // files that are open live on

  absl::StatusOr<std::unique_ptr<base::File>> Open(const std::string& path, Mode mode) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) const override;
  absl::StatusOr<bool> Exists(const std::string& path) const override;
  absl::StatusOr<int64_t> FreeBytes(const std::string& path) const override;  // always 1 TiB

  // Operations so far.
  size_t log_size() const;
  // Such as "write /data/a 512+100".
  std::string Describe(size_t operation) const;
  // For a test's message: the crash point, and the fate of each unsynced operation.
  std::string Describe(size_t prefix, const CrashChoice& choice) const;
  // The first `prefix` operations' unsynced ones, rising. These may survive or not.
  std::vector<size_t> Unsynced(size_t prefix) const;
  // The choices to try at a crash point. All of the first kind come before any torn one: none; all;
  // then each dropped, each alone and random subsets, or every subset. Then all with the last write
  // torn at 0, 1, 511, 512, 4095, 4096 and n - 1 bytes with each rest, and one in four of the
  // others torn somehow.
  std::vector<CrashChoice> CrashChoices(size_t prefix, const CrashLimits& limits = {}) const;
  // The disk after the power was lost behind the first `prefix` operations and came back.
  SimulatedDisk CrashAt(size_t prefix, const CrashChoice& choice = {}) const;

  // What becomes of data whose Sync failed.
  enum class Cached {
    kKept,     // readable until a crash, which it may survive or not
    kDropped,  // gone at once
  };
  // As a Sync of the file that fails: no later Sync makes durable what is unsynced now. For hooks
  // of a FaultyFileSystem, which then return the error. Nothing happens if there is no such file.
  void FailSync(const std::string& path, Cached cached);

 private:
  std::shared_ptr<SimulatedDiskState> state_;
};

}  // namespace polyak::testing_support
