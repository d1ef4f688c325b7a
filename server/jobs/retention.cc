#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/util/time_util.h"
#include "server/jobs/errors.h"
#include "server/jobs/identity.h"
#include "server/jobs/jobs.h"

// Ended jobs go: one that is deleted, and those that are too old or whose files the disk has no
// room for any more, the ones that ended first in front.

namespace polyak::jobs {

void Jobs::Forget(const storage::JobSnapshot& job, ForgetDone done) {
  store_.Remove(
      job->name(), job->uid(), [this, job, done = std::move(done)](const absl::Status& status) {
        if (!status.ok()) {
          return done(
              absl::IsNotFound(status) ? JobNotFound(job->name(), true) : WithDetails(status),
              absl::OkStatus());
        }
        {
          const base::MutexLock lock(&mutex_);
          if (const auto kept = kept_bytes_.extract(job->uid()); !kept.empty()) {
            reserved_bytes_ -= static_cast<double>(kept.mapped());
          }
          ForgetRepair(job->uid());
        }
        // The job is forgotten for good; its files follow, or else when the server next starts.
        if (draining()) {
          return done(absl::OkStatus(), absl::OkStatus());  // the readers' threads may be gone
        }
        ReadDisk([this, job, done] { done(absl::OkStatus(), runs_.Remove(job->uid())); });
      });
}

bool Jobs::IsUnfinishedUid(const std::string& uid) const {
  const base::MutexLock lock(&mutex_);
  return std::any_of(unfinished_.begin(), unfinished_.end(),
                     [&uid](const auto& entry) { return entry.second->snapshot()->uid() == uid; });
}

void Jobs::ForgetDamaged(const std::string& name, const std::string& known_uid, Done done) {
  if (FindUnfinished(name) != nullptr) {
    return done(FailedPrecondition(
        "JOB_ACTIVE", name,
        absl::StrCat(name,
                     " has not ended, and its row in the catalogue is damaged; accepted: an "
                     "ended job (cancel it first, or restart the server)")));
  }
  store_.RemoveDamaged(name, [this, name, known_uid, done = std::move(done)](
                                 const absl::StatusOr<std::string>& stored_uid) {
    if (!stored_uid.ok()) {
      return done(absl::IsNotFound(stored_uid.status()) ? JobNotFound(name, true)
                                                        : WithDetails(stored_uid.status()));
    }
    const std::string uid = known_uid.empty() ? *stored_uid : known_uid;
    {
      const base::MutexLock lock(&mutex_);
      ForgetRepair(uid);
    }
    if (!IsUid(uid) || IsUnfinishedUid(uid) || draining()) {
      return done(absl::OkStatus());
    }
    ReadDisk([this, uid, done] {
      static_cast<void>(runs_.Remove(uid));  // else at the next start they are orphans
      done(absl::OkStatus());
    });
  });
}

void Jobs::Retain() {
  if (draining() || (options_.retention == absl::InfiniteDuration() && !runs_.nearly_full())) {
    return;
  }
  bool stuck = false;
  {
    const base::MutexLock lock(&mutex_);
    if (retaining_) {
      return;
    }
    retaining_ = true;
    stuck = !stuck_uid_.empty();
  }
  stuck ? RemoveStuckFiles() : RetainNext();
}

void Jobs::EndRetain() {
  const base::MutexLock lock(&mutex_);
  retaining_ = false;
  retained_.SignalAll();
}

void Jobs::RemoveStuckFiles() {
  ReadDisk([this] {
    std::string uid;
    {
      const base::MutexLock lock(&mutex_);
      uid = stuck_uid_;
    }
    if (runs_.Remove(uid).ok()) {
      const base::MutexLock lock(&mutex_);
      stuck_uid_.clear();
    }
    EndRetain();
  });
}

void Jobs::RetainNext() {
  store_.ListEnded(1, [this](const absl::StatusOr<storage::ListResult>& ended) {
    if (!ended.ok() || ended->jobs.empty() || draining() || !MustGo(*ended->jobs.front())) {
      return EndRetain();
    }
    const storage::JobSnapshot job = ended->jobs.front();
    // The next one after the files of this one are gone: only then is it known whether that was
    // enough. Where they can't be removed, no other job is given up for their room.
    Forget(job, [this, job](const absl::Status& forgotten, const absl::Status& removed) {
      if (forgotten.ok() && options_.on_forget) {
        options_.on_forget(*job);
      }
      if (!removed.ok()) {
        const base::MutexLock lock(&mutex_);
        stuck_uid_ = job->uid();
      }
      if (!forgotten.ok() || !removed.ok() || draining()) {
        return EndRetain();
      }
      RetainNext();
    });
  });
}

bool Jobs::MustGo(const v1::TrainingJob& job) const {
  const absl::Time ended =
      absl::FromUnixNanos(google::protobuf::util::TimeUtil::TimestampToNanoseconds(job.end_time()));
  return ended + options_.retention < clock_.WallTime() || runs_.nearly_full();
}

}  // namespace polyak::jobs
