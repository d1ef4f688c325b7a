#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/base/mutex.h"
#include "server/storage/memory_trace.h"
#include "server/storage/run_store.h"

namespace polyak::storage {

// Runs in memory: gone with the process, so there are no checkpoints.
class MemoryRunStore : public RunStore {
 public:
  explicit MemoryRunStore(int columns) : columns_(columns) {}

  absl::StatusOr<std::shared_ptr<Trace>> OpenTrace(const v1::TrainingJob& job) override;
  absl::Status WriteCheckpoint(const std::string& uid, int64_t iteration, double elapsed_seconds,
                               const std::function<void(base::ByteSink&)>& save) override;
  absl::StatusOr<Checkpoint> OpenCheckpoint(const std::string& uid,
                                            int64_t iteration_max) const override;
  // FailedPrecondition: nothing is damaged here.
  absl::StatusOr<std::unique_ptr<TraceRepair>> OpenRepair(const v1::TrainingJob& job) override;
  absl::Status CheckRepairable(const v1::TrainingJob& job) const override;
  absl::Status CheckRoom() const override { return absl::OkStatus(); }
  bool nearly_full() const override { return false; }
  absl::StatusOr<int64_t> RepairBytes(const v1::TrainingJob& /*job*/) const override { return 0; }
  absl::Status CheckBudget(int64_t /*bytes*/) const override { return absl::OkStatus(); }
  absl::Status CheckBudgetBeside(int64_t /*bytes*/,
                                 std::span<const std::string> /*uids*/) const override {
    return absl::OkStatus();
  }
  absl::Status SetAside(const std::string& uid) override { return Remove(uid); }
  absl::Status Remove(const std::string& uid) override;
  absl::StatusOr<std::vector<std::string>> ListUids() const override;

 private:
  const int columns_;
  mutable base::Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<MemoryTrace>> traces_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::storage
