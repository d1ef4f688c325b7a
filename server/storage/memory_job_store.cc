#include "server/storage/memory_job_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"

namespace polyak::storage {
namespace {

constexpr absl::Duration kTombstoneLife = absl::Hours(24 * 30);
constexpr absl::Duration kRequestLife = absl::Hours(24);

}  // namespace

void MemoryJobStore::ForgetExpired() {
  const absl::Time now = clock_.WallTime();
  std::erase_if(tombstones_, [now](const auto& entry) { return entry.second <= now; });
  std::erase_if(requests_, [now](const auto& entry) { return entry.second.expiry <= now; });
}

absl::Status MemoryJobStore::InsertLocked(JobSnapshot job, const RequestKey& key) {
  ForgetExpired();
  if (sequences_.contains(job->name())) {
    return absl::AlreadyExistsError(
        absl::StrCat("the id of ", job->name(), " is taken; accepted: an unused id"));
  }
  if (!key.request_id.empty()) {
    const bool fresh =
        requests_
            .emplace(key.request_id, Request{key.payload, job->name(), next_sequence_,
                                             clock_.WallTime() + kRequestLife})
            .second;
    if (!fresh) {
      return absl::AlreadyExistsError(
          absl::StrCat("request_id '", key.request_id, "' was used at the same moment"));
    }
  }
  tombstones_.erase(job->name());
  sequences_[job->name()] = next_sequence_;
  jobs_.emplace(next_sequence_++, std::move(job));
  return absl::OkStatus();
}

void MemoryJobStore::Insert(JobSnapshot job, const RequestKey& key, Done done) {
  absl::Status status;
  {
    const base::MutexLock lock(&mutex_);
    status = InsertLocked(std::move(job), key);
  }
  done(std::move(status));
}

void MemoryJobStore::Update(JobSnapshot job, Done done) {
  {
    const base::MutexLock lock(&mutex_);
    const auto found = sequences_.find(job->name());
    POLYAK_CHECK(found != sequences_.end());
    jobs_[found->second] = std::move(job);
  }
  done(absl::OkStatus());
}

void MemoryJobStore::Remove(const std::string& name, Done done) {
  absl::Status status;
  {
    const base::MutexLock lock(&mutex_);
    const auto found = sequences_.find(name);
    if (found == sequences_.end()) {
      status = absl::NotFoundError(name);
    } else {
      jobs_.erase(found->second);
      sequences_.erase(found);
      tombstones_[name] = clock_.WallTime() + kTombstoneLife;
    }
  }
  done(std::move(status));
}

absl::StatusOr<JobSnapshot> MemoryJobStore::Get(const std::string& name) const {
  const base::MutexLock lock(&mutex_);
  const auto found = sequences_.find(name);
  if (found != sequences_.end()) {
    return jobs_.at(found->second);
  }
  const auto tombstone = tombstones_.find(name);
  return absl::NotFoundError(tombstone != tombstones_.end() && tombstone->second > clock_.WallTime()
                                 ? "expired"
                                 : "unknown");
}

absl::StatusOr<JobSnapshot> MemoryJobStore::FindRequest(const RequestKey& key) const {
  const base::MutexLock lock(&mutex_);
  const auto found = requests_.find(key.request_id);
  if (key.request_id.empty() || found == requests_.end() ||
      found->second.expiry <= clock_.WallTime()) {
    return JobSnapshot();
  }
  if (found->second.payload != key.payload) {
    return absl::AlreadyExistsError(
        absl::StrCat("request_id '", key.request_id, "' was used for another request, which made ",
                     found->second.name, "; accepted: an unused request_id"));
  }
  const auto job = jobs_.find(found->second.sequence);
  if (job == jobs_.end()) {
    return absl::AlreadyExistsError(absl::StrCat("request_id '", key.request_id, "' made ",
                                                 found->second.name,
                                                 ", which was deleted; accepted: an unused one"));
  }
  return job->second;
}

ListResult MemoryJobStore::List(const ListPage& page) const {
  const base::MutexLock lock(&mutex_);
  ListResult result;
  auto next = page.before > 0 ? jobs_.lower_bound(page.before) : jobs_.end();
  while (next != jobs_.begin()) {
    --next;
    if (!page.matches(*next->second)) {
      continue;
    }
    if (static_cast<int64_t>(result.jobs.size()) == page.size) {
      result.next_before = next->first + 1;
      break;
    }
    result.jobs.push_back(next->second);
  }
  return result;
}

}  // namespace polyak::storage
