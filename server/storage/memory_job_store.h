#pragma once

#include <map>
#include <string>
#include <unordered_map>

#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/storage/job_store.h"

namespace polyak::storage {

// Jobs in memory: gone with the process.
class MemoryJobStore : public JobStore {
 public:
  explicit MemoryJobStore(const base::Clock& clock) : clock_(clock) {}

  void Insert(JobSnapshot job, const RequestKey& key, Done done) override;
  void Update(JobSnapshot job, Done done) override;
  void Remove(const std::string& name, Done done) override;
  absl::StatusOr<JobSnapshot> Get(const std::string& name) const override;
  absl::StatusOr<JobSnapshot> FindRequest(const RequestKey& key) const override;
  ListResult List(const ListPage& page) const override;
  bool survives_restart() const override { return false; }

 private:
  struct Request {
    std::string payload;
    std::string name;
    int64_t sequence = 0;  // of the job it made: a name can be used again
    absl::Time expiry;
  };
  absl::Status InsertLocked(JobSnapshot job, const RequestKey& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  int64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<int64_t, JobSnapshot> jobs_
      ABSL_GUARDED_BY(mutex_);  // by sequence number: the order of creation
  std::unordered_map<std::string, int64_t> sequences_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, absl::Time> tombstones_
      ABSL_GUARDED_BY(mutex_);  // name to expiry
  std::unordered_map<std::string, Request> requests_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::storage
