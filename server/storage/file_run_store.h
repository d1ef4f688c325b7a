#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/base/file_system.h"
#include "server/storage/disk_budget.h"
#include "server/storage/job_files.h"
#include "server/storage/run_signature.h"
#include "server/storage/run_store.h"

namespace polyak::storage {

// Runs in files below a directory: docs/formats/trace.md, docs/formats/checkpoint.md.
class FileRunStore : public RunStore {
 public:
  struct Options {
    int columns = 0;  // of every trace
    Machine machine;
    std::optional<int64_t> disk_bytes;  // for all files; nullopt: what the disk has
    int64_t reserve_bytes = 0;          // of the disk, kept free for others
  };
  // files: outlives the store.
  // Errors: of making the directory.
  static absl::StatusOr<std::unique_ptr<FileRunStore>> Open(base::FileSystem& files,
                                                            const std::string& data_directory,
                                                            const Options& options);

  absl::StatusOr<std::shared_ptr<Trace>> OpenTrace(const v1::TrainingJob& job) override;
  absl::Status WriteCheckpoint(const std::string& uid, int64_t iteration, double elapsed_seconds,
                               const std::function<void(base::ByteSink&)>& save) override;
  absl::StatusOr<Checkpoint> OpenCheckpoint(const std::string& uid,
                                            int64_t iteration_max) const override;
  absl::StatusOr<std::unique_ptr<TraceRepair>> OpenRepair(const v1::TrainingJob& job) override;
  absl::Status CheckRepairable(const v1::TrainingJob& job) const override;
  absl::Status CheckRoom() const override { return disk_->CheckRoom(); }
  bool nearly_full() const override { return disk_->nearly_spent(); }
  absl::StatusOr<int64_t> RepairBytes(const v1::TrainingJob& job) const override;
  absl::Status CheckBudget(int64_t bytes) const override { return disk_->CheckBudget(bytes); }
  absl::Status CheckBudgetBeside(int64_t bytes, std::span<const std::string> uids) const override;
  absl::Status SetAside(const std::string& uid) override;  // to the directory `lost`
  absl::Status Remove(const std::string& uid) override;
  absl::StatusOr<std::vector<std::string>> ListUids() const override;

 private:
  // Whether the records that a description, or else the header of a checkpoint, or else the job's
  // computations tell of were computed by this build on this class of processor.  Errors:
  // FailedPrecondition if not, or if nothing says so.
  absl::Status CheckMachine(const v1::TrainingJob& job,
                            const std::optional<std::string>& description) const;
  // All files that a run may have.
  std::vector<std::string> PathsOf(const std::string& uid) const;
  FileRunStore(const std::string& data_directory, const Options& options,
               std::unique_ptr<DiskBudget> disk)
      : paths_{data_directory}, options_(options), disk_(std::move(disk)) {}

  const JobFiles paths_;
  const Options options_;
  const std::unique_ptr<DiskBudget> disk_;
};

}  // namespace polyak::storage
