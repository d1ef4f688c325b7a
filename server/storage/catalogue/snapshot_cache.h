#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

#include "server/base/mutex.h"
#include "server/storage/job_store.h"

namespace polyak::storage {

// Jobs in memory, by name: every unfinished one, and the ended ones that were used last, up to a
// number of bytes. Safe from any thread.
class SnapshotCache {
 public:
  explicit SnapshotCache(int64_t ended_bytes_max) : ended_bytes_max_(ended_bytes_max) {}

  void Put(JobSnapshot job);
  void Erase(const std::string& name);
  JobSnapshot Find(const std::string& name);  // null: not here

 private:
  using Names = std::list<std::string>;
  struct Entry {
    JobSnapshot job;
    int64_t bytes = 0;  // 0: unfinished, and not in recent_
    Names::iterator place;
  };
  void EraseLocked(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int64_t ended_bytes_max_;
  base::Mutex mutex_;
  std::unordered_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  Names recent_ ABSL_GUARDED_BY(mutex_);  // ended jobs, that used last in front
  int64_t ended_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace polyak::storage
