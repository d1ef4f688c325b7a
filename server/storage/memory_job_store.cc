#include "server/storage/memory_job_store.h"

#include <algorithm>
#include <new>
#include <utility>

#include "server/storage/job_store_rules.h"

namespace polyak::storage {

void MemoryJobStore::ForgetExpired() {
  const absl::Time now = clock_.WallTime();
  std::erase_if(tombstones_, [now](const auto& entry) { return entry.second <= now; });
  std::erase_if(requests_, [now](const auto& entry) { return entry.second.expiry <= now; });
}

absl::Status MemoryJobStore::InsertLocked(const JobSnapshot& job, const RequestKey& key) {
  ForgetExpired();
  if (!key.request_id.empty() && requests_.contains(key.request_id)) {
    return RequestIdTaken(key.request_id);
  }
  if (sequences_.contains(job->name())) {
    return NameTaken(job->name());
  }
  const int64_t sequence = next_sequence_;
  const std::string& name = job->name();
  jobs_.emplace(sequence, StoredJob{job, false});
  try {
    sequences_.emplace(name, sequence);
    if (!key.request_id.empty()) {
      requests_.emplace(key.request_id,
                        Request{key.payload, name, sequence, clock_.WallTime() + kRequestLife});
    }
  } catch (const std::bad_alloc&) {  // a job that is there by half would be found by half
    sequences_.erase(name);
    jobs_.erase(sequence);
    throw;
  }
  tombstones_.erase(name);
  ++next_sequence_;
  return absl::OkStatus();
}

void MemoryJobStore::Insert(JobSnapshot job, const RequestKey& key, Done done) {
  absl::Status status;
  {
    const base::MutexLock lock(&mutex_);
    status = InsertLocked(job, key);
  }
  done(std::move(status));
}

absl::Status MemoryJobStore::UpdateLocked(JobSnapshot job) {
  const auto found = sequences_.find(job->name());
  if (found == sequences_.end() || jobs_.at(found->second).job->uid() != job->uid()) {
    return absl::NotFoundError(job->name());
  }
  jobs_.at(found->second).job = std::move(job);
  return absl::OkStatus();
}

void MemoryJobStore::Update(JobSnapshot job, Done done) {
  absl::Status status;
  {
    const base::MutexLock lock(&mutex_);
    status = UpdateLocked(std::move(job));
  }
  done(std::move(status));
}

void MemoryJobStore::RequestCancel(const std::string& name, Done done) {
  absl::Status status = absl::NotFoundError(name);
  {
    const base::MutexLock lock(&mutex_);
    if (const auto found = sequences_.find(name); found != sequences_.end()) {
      jobs_.at(found->second).cancel_requested = true;
      status = absl::OkStatus();
    }
  }
  done(std::move(status));
}

absl::Status MemoryJobStore::RemoveLocked(const std::string& name, const std::string& uid) {
  const auto found = sequences_.find(name);
  if (found == sequences_.end() || jobs_.at(found->second).job->uid() != uid) {
    return absl::NotFoundError(name);
  }
  tombstones_[name] = clock_.WallTime() + kTombstoneLife;  // first: it needs memory
  jobs_.erase(found->second);
  sequences_.erase(found);
  return absl::OkStatus();
}

void MemoryJobStore::Remove(const std::string& name, const std::string& uid, Done done) {
  absl::Status status;
  {
    const base::MutexLock lock(&mutex_);
    status = RemoveLocked(name, uid);
  }
  done(std::move(status));
}

// Nothing is damaged in memory.
void MemoryJobStore::RemoveDamaged(const std::string& name, RemoveDamagedDone done) {
  done(absl::NotFoundError(name));
}

absl::StatusOr<JobSnapshot> MemoryJobStore::GetLocked(const std::string& name) const {
  const auto found = sequences_.find(name);
  if (found != sequences_.end()) {
    return jobs_.at(found->second).job;
  }
  const auto tombstone = tombstones_.find(name);
  return NoJob(tombstone != tombstones_.end() && tombstone->second > clock_.WallTime());
}

void MemoryJobStore::Get(const std::string& name, GetDone done) const {
  absl::StatusOr<JobSnapshot> answer;
  {
    const base::MutexLock lock(&mutex_);
    answer = GetLocked(name);
  }
  done(std::move(answer));
}

absl::StatusOr<JobSnapshot> MemoryJobStore::FindRequestLocked(const RequestKey& key) const {
  const auto found = requests_.find(key.request_id);
  if (key.request_id.empty() || found == requests_.end() ||
      found->second.expiry <= clock_.WallTime()) {
    return JobSnapshot();
  }
  if (found->second.payload != key.payload) {
    return RequestIdReused(key.request_id, found->second.name);
  }
  const auto job = jobs_.find(found->second.sequence);
  if (job == jobs_.end()) {
    return RequestJobRemoved(key.request_id, found->second.name);
  }
  return job->second.job;
}

void MemoryJobStore::FindRequest(const RequestKey& key, GetDone done) const {
  absl::StatusOr<JobSnapshot> answer;
  {
    const base::MutexLock lock(&mutex_);
    answer = FindRequestLocked(key);
  }
  done(std::move(answer));
}

ListResult MemoryJobStore::ListLocked(const ListPage& page) const {
  ListResult result;
  auto next = page.before > 0 ? jobs_.lower_bound(page.before) : jobs_.end();
  while (next != jobs_.begin()) {
    --next;
    if (!page.matches(*next->second.job)) {
      continue;
    }
    if (static_cast<int64_t>(result.jobs.size()) == page.size) {
      result.next_before = next->first + 1;
      break;
    }
    result.jobs.push_back(next->second.job);
  }
  return result;
}

void MemoryJobStore::List(const ListPage& page, ListDone done) const {
  ListResult result;
  {
    const base::MutexLock lock(&mutex_);
    result = ListLocked(page);
  }
  done(std::move(result));
}

void MemoryJobStore::ListEnded(int64_t limit, ListDone done) const {
  ListResult result;
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& [sequence, stored] : jobs_) {
      if (stored.job->has_end_time()) {
        result.jobs.push_back(stored.job);
      }
    }
  }
  std::stable_sort(
      result.jobs.begin(), result.jobs.end(),
      [](const JobSnapshot& a, const JobSnapshot& b) { return EndMicros(*a) < EndMicros(*b); });
  if (static_cast<int64_t>(result.jobs.size()) > limit) {
    result.jobs.resize(static_cast<size_t>(limit));
  }
  done(std::move(result));
}

void MemoryJobStore::FindDatasetUse(const std::string& dataset, DatasetUseDone done) const {
  DatasetUse use;
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& [sequence, stored] : jobs_) {
      if (NamedDataset(stored.job->spec()) == dataset) {
        use.one = use.jobs == 0 ? stored.job->name() : std::min(use.one, stored.job->name());
        ++use.jobs;
      }
    }
  }
  done(std::move(use));
}

absl::StatusOr<std::vector<StoredJob>> MemoryJobStore::LoadUnfinished() {
  const base::MutexLock lock(&mutex_);
  std::vector<StoredJob> unfinished;
  for (const auto& [sequence, stored] : jobs_) {
    if (!stored.job->has_end_time()) {
      unfinished.push_back(stored);
    }
  }
  return unfinished;
}

absl::StatusOr<std::vector<std::string>> MemoryJobStore::LoadUids() {
  const base::MutexLock lock(&mutex_);
  std::vector<std::string> uids;
  for (const auto& [sequence, stored] : jobs_) {
    uids.push_back(stored.job->uid());
  }
  return uids;
}

}  // namespace polyak::storage
