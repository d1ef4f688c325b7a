#include "server/storage/catalogue/snapshot_cache.h"

#include <utility>

namespace polyak::storage {

void SnapshotCache::EraseLocked(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    return;
  }
  ended_bytes_ -= found->second.bytes;
  if (found->second.bytes > 0) {
    recent_.erase(found->second.place);
  }
  entries_.erase(found);
}

void SnapshotCache::Put(JobSnapshot job) {
  const std::string name = job->name();
  const int64_t bytes = job->has_end_time() ? static_cast<int64_t>(job->SpaceUsedLong()) : 0;
  const base::MutexLock lock(&mutex_);
  EraseLocked(name);
  Entry& entry = entries_[name];
  entry.job = std::move(job);
  entry.bytes = bytes;
  if (bytes > 0) {
    entry.place = recent_.insert(recent_.begin(), name);
    ended_bytes_ += bytes;
  }
  while (ended_bytes_ > ended_bytes_max_) {
    EraseLocked(std::string(recent_.back()));
  }
}

void SnapshotCache::Erase(const std::string& name) {
  const base::MutexLock lock(&mutex_);
  EraseLocked(name);
}

JobSnapshot SnapshotCache::Find(const std::string& name) {
  const base::MutexLock lock(&mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    return nullptr;
  }
  if (found->second.bytes > 0) {
    recent_.splice(recent_.begin(), recent_, found->second.place);
  }
  return found->second.job;
}

}  // namespace polyak::storage
