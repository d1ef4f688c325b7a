#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/base/file_system.h"
#include "server/base/mutex.h"

namespace polyak::testing_support {

// A file system that fails when told, counts its calls, and can be full. Safe from any thread. Must
// outlive the files it opened, as the file system under it must outlive it.
//
// A call is answered, in this order, by the hook, by the first rule that fires, by the limit of
// free space, by the file system below.
class FaultyFileSystem : public base::FileSystem {
 public:
  enum class Call {
    kOpen,
    kRead,
    kWrite,
    kSync,
    kTruncate,
    kSize,
    kRename,
    kRemove,
    kSyncDirectory,
    kCreateDirectory,
    kList,
    kExists,
    kFreeBytes,
  };
  static constexpr size_t kCallKinds = 13;

  // One call, as hooks see it.
  struct Operation {
    Call call;
    std::string path = {};          // of a file: as it was opened
    std::string to = {};            // kRename
    std::optional<Mode> mode = {};  // kOpen
    int64_t offset = 0;             // kRead, kWrite; kTruncate: the new size
    int64_t size = 0;               // kRead, kWrite
  };

  struct Fault {
    enum class Action {
      kFail,  // without doing it
      kExecuteThenFail,
      kSwallow,  // answers OK without doing it; for the calls that answer nothing else
    };
    Action action = Action::kFail;
    absl::Status status = absl::UnavailableError("planted fault");
    // kFail of kWrite: so many bytes, at most all, are written all the same.
    int64_t short_count = 0;
  };

  static constexpr int64_t kAlways = std::numeric_limits<int64_t>::max();
  struct Rule {
    Call call;
    std::string path = {};  // a part of the path, or of a rename's other one; empty: every path
    int64_t nth = 1;        // of the matching calls since the rule was made: the first it fires at
    int64_t times = 1;  // how many matching calls it fires at in a row; kAlways; 0: it only counts
    Fault fault = {};
  };
  // What to do instead of the call; nullopt: go on. Called without a lock held, before the call. It
  // may use the file system below, and add and remove rules.
  using Hook = std::function<std::optional<Fault>(const Operation&)>;

  explicit FaultyFileSystem(base::FileSystem& below) : below_(below) {}

  // Returns the rule's number.
  size_t AddRule(Rule rule);
  // All of them; their counts stay.
  void ClearRules();
  // Calls that a rule matched, also those that it let pass.
  int64_t matched(size_t rule) const;
  int64_t fired(size_t rule) const;
  // Empty: none.
  void SetHook(Hook hook);
  // From now on files may grow by so many bytes in all, with what is given back by cutting,
  // replacing and removing files, as if no file had holes. Then a write writes what still fits, and
  // like a growing Truncate answers ResourceExhausted. nullopt: no limit any more.
  void SetFreeBytes(std::optional<int64_t> bytes);
  // Calls so far, whatever became of them.
  int64_t calls(Call call) const;

  absl::StatusOr<std::unique_ptr<base::File>> Open(const std::string& path, Mode mode) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) const override;
  absl::StatusOr<bool> Exists(const std::string& path) const override;
  // What is left below the limit, if there is one.
  absl::StatusOr<int64_t> FreeBytes(const std::string& path) const override;

 private:
  class FaultyFile;
  struct Planted {
    Rule rule;
    bool removed = false;
    int64_t matched = 0;
    int64_t fired = 0;
  };
  // Counts the call, and asks hook and rules.
  std::optional<Fault> Enter(const Operation& operation) const;
  // The call with its fault, if there is one.
  absl::Status Run(const Operation& operation, const std::function<absl::Status()>& call) const;
  template <typename Value>
  absl::StatusOr<Value> RunForValue(const Operation& operation,
                                    const std::function<absl::StatusOr<Value>()>& call) const;
  absl::Status WriteWithinLimit(base::File& file, const std::string& path, int64_t offset,
                                std::string_view data) const;
  absl::Status TruncateWithinLimit(base::File& file, const std::string& path, int64_t size) const;
  // Takes up to `bytes` from what is free. Returns how many.
  int64_t Take(int64_t bytes) const;
  void GiveBack(int64_t bytes) const;
  bool has_limit() const;
  // 0 if there is no such file.
  int64_t SizeOf(const std::string& path) const;

  base::FileSystem& below_;
  mutable base::Mutex mutex_;
  mutable std::vector<Planted> rules_ ABSL_GUARDED_BY(mutex_);
  Hook hook_ ABSL_GUARDED_BY(mutex_);
  mutable std::optional<int64_t> free_bytes_ ABSL_GUARDED_BY(mutex_);
  mutable std::array<int64_t, kCallKinds> calls_ ABSL_GUARDED_BY(mutex_) = {};
};

}  // namespace polyak::testing_support
