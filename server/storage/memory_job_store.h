#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/storage/job_store.h"

namespace polyak::storage {

// Jobs in memory: gone with the process. Every answer is given before the call returns.
class MemoryJobStore : public JobStore {
 public:
  explicit MemoryJobStore(const base::Clock& clock) : clock_(clock) {}

  void Insert(JobSnapshot job, const RequestKey& key, Done done) override;
  void Update(JobSnapshot job, Done done) override;
  void RequestCancel(const std::string& name, Done done) override;
  void Remove(const std::string& name, const std::string& uid, Done done) override;
  void RemoveDamaged(const std::string& name, RemoveDamagedDone done) override;
  void Get(const std::string& name, GetDone done) const override;
  void FindRequest(const RequestKey& key, GetDone done) const override;
  void List(const ListPage& page, ListDone done) const override;
  void ListEnded(int64_t limit, ListDone done) const override;
  void FindDatasetUse(const std::string& dataset, DatasetUseDone done) const override;
  absl::StatusOr<std::vector<StoredJob>> LoadUnfinished() override;
  absl::StatusOr<std::vector<std::string>> LoadUids() override;
  bool survives_restart() const override { return false; }

 private:
  struct Request {
    std::string payload;
    std::string name;
    int64_t sequence = 0;  // of the job it made: a name can be used again
    absl::Time expiry;
  };
  absl::Status InsertLocked(const JobSnapshot& job, const RequestKey& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status UpdateLocked(JobSnapshot job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveLocked(const std::string& name, const std::string& uid)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<JobSnapshot> GetLocked(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<JobSnapshot> FindRequestLocked(const RequestKey& key) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ListResult ListLocked(const ListPage& page) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  int64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<int64_t, StoredJob> jobs_
      ABSL_GUARDED_BY(mutex_);  // by sequence number: the order of creation
  std::unordered_map<std::string, int64_t> sequences_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, absl::Time> tombstones_
      ABSL_GUARDED_BY(mutex_);  // name to expiry
  std::unordered_map<std::string, Request> requests_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::storage
