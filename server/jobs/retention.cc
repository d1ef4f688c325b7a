#include <algorithm>
#include <future>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/util/time_util.h"
#include "server/base/status_macros.h"
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

void Jobs::ForgetDamaged(const std::string& name, const std::string& known_uid,
                         const absl::Status& why, Done done) {
  if (FindUnfinished(name) != nullptr) {
    return done(FailedPrecondition(
        "JOB_ACTIVE", name,
        absl::StrCat(name,
                     " has not ended, and its row in the catalogue is damaged; accepted: an "
                     "ended job (cancel it first, or restart the server)")));
  }
  store_.RemoveDamaged(name, [this, name, known_uid, why, done = std::move(done)](
                                 const absl::StatusOr<std::string>& stored_uid) {
    if (absl::IsNotFound(stored_uid.status()) && !why.ok()) {
      return done(WithDetails(why));  // its row is whole: something else is damaged, and it stays
    }
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
  // One of them may be under repair, which takes the room that is missing only for a while.
  store_.ListEnded(
      2 + CountUnforgettable(), [this](const absl::StatusOr<storage::ListResult>& ended) {
        if (!ended.ok() || draining()) {
          return EndRetain();
        }
        const auto first = std::find_if(ended->jobs.begin(), ended->jobs.end(),
                                        [this](const auto& job) { return MustGo(*job); });
        if (first == ended->jobs.end()) {
          return EndRetain();
        }
        const storage::JobSnapshot& job = *first;
        // The next one after the files of this one are gone: only then is it known whether that was
        // enough. Where they can't be removed, no other job is given up for their room.
        Forget(job, [this, job](const absl::Status& forgotten, const absl::Status& removed) {
          if (forgotten.ok()) {
            NoteForgotten(job, removed);
          }
          if (absl::IsDataLoss(forgotten)) {
            NoteUnforgettable(job, forgotten);
          } else if (!forgotten.ok() || !removed.ok() || draining()) {
            return EndRetain();
          }
          RetainNext();
        });
      });
}

void Jobs::NoteForgotten(const storage::JobSnapshot& job, const absl::Status& removed) {
  if (options_.on_forget) {
    options_.on_forget(*job, absl::OkStatus());
  }
  if (!removed.ok()) {
    const base::MutexLock lock(&mutex_);
    stuck_uid_ = job->uid();
  }
}

int64_t Jobs::CountUnforgettable() const {
  const base::MutexLock lock(&mutex_);
  return std::ssize(unforgettable_uids_);
}

void Jobs::NoteUnforgettable(const storage::JobSnapshot& job, const absl::Status& why) {
  if (options_.on_forget) {
    options_.on_forget(*job, why);
  }
  const base::MutexLock lock(&mutex_);
  unforgettable_uids_.insert(job->uid());
}

bool Jobs::MustGo(const v1::TrainingJob& job) const {
  {
    const base::MutexLock lock(&mutex_);
    if (unforgettable_uids_.contains(job.uid())) {
      return false;
    }
  }
  const absl::Time ended =
      absl::FromUnixNanos(google::protobuf::util::TimeUtil::TimestampToNanoseconds(job.end_time()));
  if (ended + options_.retention < clock_.WallTime()) {
    return true;
  }
  const base::MutexLock lock(&mutex_);
  return runs_.nearly_full() && repairing_ != job.uid();
}

absl::Status Jobs::MakeRoomToRepair(const v1::TrainingJob& job, const base::StopToken& stop) {
  POLYAK_ASSIGN_OR_RETURN(const int64_t bytes, runs_.RepairBytes(job));
  std::vector<std::string> staying = {job.uid()};
  if (const absl::Status alone = runs_.CheckBudgetBeside(bytes, staying); !alone.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("a repair needs a copy for its time: ", std::string{alone.message()}));
  }
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& [name, unfinished] : unfinished_) {
      staying.push_back(unfinished->snapshot()->uid());
    }
  }
  POLYAK_RETURN_IF_ERROR(runs_.CheckBudgetBeside(bytes, staying));
  {
    // In the place of Retain, for which ~Jobs waits.
    const base::MutexLock lock(&mutex_);
    while (retaining_) {
      retained_.Wait(&mutex_);
    }
    retaining_ = true;
  }
  absl::Status room = runs_.CheckBudget(bytes);
  while (absl::IsResourceExhausted(room) && !stop.stop_requested() && !draining()) {
    if (const absl::Status forgotten = ForgetFirstEnded(job.uid()); !forgotten.ok()) {
      room = forgotten;
      break;
    }
    room = runs_.CheckBudget(bytes);
  }
  EndRetain();
  return stop.stop_requested() ? absl::CancelledError("the repair was given up") : room;
}

absl::Status Jobs::ForgetFirstEnded(const std::string& but_uid) {
  {
    const base::MutexLock lock(&mutex_);
    if (!stuck_uid_.empty()) {
      return absl::ResourceExhaustedError(absl::StrCat("the files of a job that was forgotten, ",
                                                       stuck_uid_, ", can't be removed"));
    }
  }
  std::promise<absl::StatusOr<storage::ListResult>> listed;
  store_.ListEnded(
      2 + CountUnforgettable(),
      [&listed](const absl::StatusOr<storage::ListResult>& ended) { listed.set_value(ended); });
  POLYAK_ASSIGN_OR_RETURN(const storage::ListResult ended, listed.get_future().get());
  const auto first =
      std::find_if(ended.jobs.begin(), ended.jobs.end(), [this, &but_uid](const auto& job) {
        const base::MutexLock lock(&mutex_);
        return job->uid() != but_uid && !unforgettable_uids_.contains(job->uid());
      });
  if (first == ended.jobs.end()) {
    return absl::ResourceExhaustedError(
        "the files of all jobs take what they may, and no other ended job can make room");
  }
  std::promise<std::pair<absl::Status, absl::Status>> gone;
  Forget(*first, [&gone](const absl::Status& forgotten, const absl::Status& removed) {
    gone.set_value({forgotten, removed});
  });
  const auto [forgotten, removed] = gone.get_future().get();
  if (absl::IsNotFound(forgotten)) {
    return absl::OkStatus();  // somebody else has deleted it
  }
  if (absl::IsDataLoss(forgotten)) {
    NoteUnforgettable(*first, forgotten);
    return absl::OkStatus();  // the next one, then
  }
  POLYAK_RETURN_IF_ERROR(forgotten);
  NoteForgotten(*first, removed);
  return removed;
}

}  // namespace polyak::jobs
