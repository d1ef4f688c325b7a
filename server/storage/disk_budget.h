#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/base/file_system.h"
#include "server/base/mutex.h"

namespace polyak::storage {

// A file system that is full before the disk is: files grow only while a reserve stays free, which
// whoever writes past it (the catalogue) can use to note that a job was cancelled or deleted, and
// only up to a budget for all files of one directory. Then writes that would make a file longer
// answer ResourceExhausted with the reason, and write nothing. Safe from any thread. Outlives the
// files it opened.
class DiskBudget : public base::FileSystem {
 public:
  struct Options {
    std::string directory;                // flat; every file opened lies in it; some leave it
    std::optional<int64_t> budget_bytes;  // for the files of the directory
    int64_t reserve_bytes = 0;            // of the disk, to be kept free
  };
  // below: outlives it.  Cost: with a budget, a look at the size of every file.
  // Errors: of the file system.
  static absl::StatusOr<std::unique_ptr<DiskBudget>> Open(base::FileSystem& below,
                                                          const Options& options);

  // Errors: ResourceExhausted if no file can grow.
  absl::Status CheckRoom() const;
  // Errors: ResourceExhausted if files of the directory that grow by so many bytes would be beyond
  // the budget; the reserve is not looked at.
  absl::Status CheckBudget(int64_t bytes) const;
  // What the budget counts a file as, 0 if there is none. Without a budget only files that were
  // opened to be written are known.
  int64_t CountedBytes(const std::string& path) const;
  // Whether less than a tenth of the budget is left: time to remove what can go.
  bool nearly_spent() const;

  absl::StatusOr<std::unique_ptr<base::File>> Open(const std::string& path, Mode mode) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) const override;
  absl::StatusOr<bool> Exists(const std::string& path) const override;
  // What files may still grow by.
  absl::StatusOr<int64_t> FreeBytes(const std::string& path) const override;

 private:
  class BudgetedFile;
  // A file keeps its own while it is open, whatever becomes of its name.
  struct Counted {
    int64_t size = 0;
    bool has_name = true;  // else it is gone when it is closed, and counts no more
  };
  DiskBudget(base::FileSystem& below, const Options& options) : below_(below), options_(options) {}
  absl::Status AddFiles();
  // Errors: ResourceExhausted if files can't grow by so many bytes; of the file system.
  absl::Status CheckReserve(int64_t bytes) const;
  absl::Status CheckGrowth(int64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Both; then the file counts as of `size` bytes.
  absl::Status Claim(Counted& file, int64_t size);
  // The file is of `size` bytes now.
  void Account(Counted& file, int64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<Counted> CountedOf(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The name is free now, for nothing or another file.
  void Drop(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Write(base::File& file, Counted& counted, int64_t offset, std::string_view data);
  absl::Status Truncate(base::File& file, Counted& counted, int64_t size);

  base::FileSystem& below_;
  const Options options_;
  // Guards the counting alone, and is never held while the disk works.
  mutable base::Mutex mutex_;
  // By path.
  std::unordered_map<std::string, std::shared_ptr<Counted>> files_ ABSL_GUARDED_BY(mutex_);
  int64_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace polyak::storage
