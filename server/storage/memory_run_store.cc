#include "server/storage/memory_run_store.h"

#include "absl/strings/str_cat.h"

namespace polyak::storage {
namespace {

absl::Status NothingToRepair(const v1::TrainingJob& job) {
  return absl::FailedPreconditionError("the records of " + job.name() +
                                       " are in memory, where there is nothing to repair");
}

}  // namespace

absl::StatusOr<std::shared_ptr<Trace>> MemoryRunStore::OpenTrace(const v1::TrainingJob& job) {
  const base::MutexLock lock(&mutex_);
  const auto found = traces_.find(job.uid());
  if (found != traces_.end()) {
    return found->second;
  }
  if (job.has_end_time()) {
    return absl::NotFoundError(absl::StrCat(job.name(), " has no records"));
  }
  auto trace = std::make_shared<MemoryTrace>(columns_);
  traces_.emplace(job.uid(), trace);
  return trace;
}

absl::Status MemoryRunStore::WriteCheckpoint(const std::string& /*uid*/, int64_t /*iteration*/,
                                             double /*elapsed_seconds*/,
                                             const std::function<void(base::ByteSink&)>& /*save*/) {
  return absl::OkStatus();
}

absl::StatusOr<Checkpoint> MemoryRunStore::OpenCheckpoint(const std::string& uid,
                                                          int64_t /*iteration_max*/) const {
  return absl::NotFoundError(absl::StrCat("no checkpoint of ", uid, " in memory"));
}

absl::StatusOr<std::unique_ptr<TraceRepair>> MemoryRunStore::OpenRepair(
    const v1::TrainingJob& job) {
  return NothingToRepair(job);
}

absl::Status MemoryRunStore::CheckRepairable(const v1::TrainingJob& job) const {
  return NothingToRepair(job);
}

absl::Status MemoryRunStore::Remove(const std::string& uid) {
  const base::MutexLock lock(&mutex_);
  traces_.erase(uid);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemoryRunStore::ListUids() const {
  const base::MutexLock lock(&mutex_);
  std::vector<std::string> uids;
  for (const auto& [uid, trace] : traces_) {
    uids.push_back(uid);
  }
  return uids;
}

}  // namespace polyak::storage
