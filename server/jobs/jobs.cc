#include "server/jobs/jobs.h"

#include <algorithm>
#include <future>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "server/jobs/errors.h"
#include "server/runner/canary.h"
#include "server/spec/parse_names.h"

namespace polyak::jobs {

Jobs::Jobs(const JobsOptions& options, storage::JobStore& store, storage::RunStore& runs,
           const base::Clock& clock)
    : options_(options),
      store_(store),
      runs_(runs),
      clock_(clock),
      all_workers_up_(options.workers),
      pulse_(clock),
      fence_{store},
      workers_(options.workers, "trainer"),
      admission_(std::max(2, options.workers), "admission"),
      curves_(1, "curves"),
      disk_(2, "disk") {
  RunCanaries();
}

Jobs::~Jobs() {
  Drain();
  const base::MutexLock lock(&mutex_);
  while (retaining_) {
    retained_.Wait(&mutex_);
  }
}

Jobs::StoreFence::~StoreFence() {
  // The store answers changes in the order in which they came, this one last.
  std::promise<void> answered;
  store.Remove("", "", [&answered](const absl::Status& /*status*/) { answered.set_value(); });
  answered.get_future().wait();
}

void Jobs::RunCanaries() {
  for (int k = 0; k < options_.workers; ++k) {
    workers_.Submit([this] {
      all_workers_up_.arrive_and_wait();  // so that each worker takes one
      ++(runner::CanaryPasses(clock_) ? canaries_passed_ : canaries_failed_);
    });
  }
}

bool Jobs::CheckHealth() {
  constexpr int kChecksMax = 5;
  unresponsive_checks_ = workers_.responsive() ? 0 : unresponsive_checks_ + 1;
  return !draining() && canaries_passed_ == options_.workers && unresponsive_checks_ < kChecksMax;
}

storage::JobSnapshot Jobs::WithLiveState(const storage::JobSnapshot& snapshot) const {
  if (snapshot->has_end_time()) {
    return snapshot;
  }
  int64_t ahead = 0;
  std::string pause_reason;
  {
    const base::MutexLock lock(&mutex_);
    const auto is_it = [&snapshot](const auto& job) {
      return job->snapshot()->name() == snapshot->name();
    };
    const auto place = std::find_if(queue_.begin(), queue_.end(), is_it);
    ahead = place == queue_.end() ? 0 : place - queue_.begin();
    const auto job = unfinished_.find(snapshot->name());
    pause_reason = job == unfinished_.end() ? "" : job->second->pause_reason();
  }
  if (ahead == 0 && pause_reason.empty()) {
    return snapshot;
  }
  auto live = std::make_shared<v1::TrainingJob>(*snapshot);
  live->set_jobs_ahead(ahead);
  live->set_pause_reason(pause_reason);
  return live;
}

google::protobuf::Timestamp Jobs::Now() const {
  return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      absl::ToUnixNanos(clock_.WallTime()));
}

std::shared_ptr<Job> Jobs::FindUnfinished(const std::string& name) const {
  const base::MutexLock lock(&mutex_);
  const auto found = unfinished_.find(name);
  return found == unfinished_.end() ? nullptr : found->second;
}

void Jobs::Get(const std::string& name, JobDone done) {
  spec::Violations violations;
  if (!spec::CheckJobName(name, violations)) {
    return done(InvalidArgument(violations));
  }
  store_.Get(name, [this, name, done = std::move(done)](const auto& snapshot) {
    if (snapshot.ok()) {
      done(WithLiveState(*snapshot));
    } else if (absl::IsNotFound(snapshot.status())) {
      done(JobNotFound(name, snapshot.status().message() == "expired"));
    } else {
      done(WithDetails(snapshot.status()));
    }
  });
}

absl::StatusOr<std::shared_ptr<Job>> Jobs::OpenEnded(const storage::JobSnapshot& snapshot) {
  {
    const base::MutexLock lock(&mutex_);
    const auto found = opened_.find(snapshot->name());
    const auto job = found == opened_.end() ? nullptr : found->second.lock();
    if (job != nullptr && job->snapshot()->uid() == snapshot->uid()) {
      return job;
    }
  }
  auto job = std::make_shared<Job>(snapshot, nullptr, options_.limits.datasets);
  const int repaired = TimesRepaired(snapshot->uid());
  auto trace = runs_.OpenTrace(*snapshot);
  if (trace.ok()) {
    job->set_trace(Guarded(snapshot, *std::move(trace), repaired));
  } else if (!absl::IsNotFound(trace.status())) {
    return WithDetails(NoteDamage(snapshot, repaired, trace.status()));
  } else if (snapshot->has_summary()) {
    return WithDetails(NoteDamage(
        snapshot, repaired,
        absl::DataLossError(absl::StrCat("the records of ", snapshot->name(), " are missing"))));
  }  // else it ended without a record
  const base::MutexLock lock(&mutex_);
  NoteOpened(snapshot->name(), job);
  return job;
}

void Jobs::NoteOpened(const std::string& name, const std::shared_ptr<Job>& job) {
  opened_[name] = job;
  if (opened_.size() >= opened_swept_at_) {
    std::erase_if(opened_, [](const auto& entry) { return entry.second.expired(); });
    opened_swept_at_ = std::max<size_t>(64, 2 * opened_.size());
  }
}

void Jobs::Find(const std::string& name, FindDone done) {
  if (auto job = FindUnfinished(name); job != nullptr) {
    return done(std::move(job));
  }
  Get(name, [this, name, done = std::move(done)](const auto& snapshot) {
    if (!snapshot.ok()) {
      return done(snapshot.status());
    }
    if (!(*snapshot)->has_end_time()) {
      // Made between the two looks.
      auto job = FindUnfinished(name);
      return job != nullptr ? done(std::move(job)) : done(JobNotFound(name, true));
    }
    if (draining()) {
      return done(Draining());  // the readers' threads may be gone
    }
    ReadDisk([this, snapshot = *snapshot, done] { done(OpenEnded(snapshot)); });
  });
}

void Jobs::OpenParameters(const std::string& name, int64_t computed_max, ParametersDone done) {
  Get(name, [this, computed_max, done = std::move(done)](const auto& snapshot) {
    if (!snapshot.ok()) {
      return done(snapshot.status());
    }
    if (!(*snapshot)->has_end_time()) {
      return done(FailedPrecondition(
          "JOB_ACTIVE", (*snapshot)->name(),
          absl::StrCat((*snapshot)->name(),
                       " has not ended; accepted: an ended job (wait for it, or cancel it)")));
    }
    if (draining()) {
      return done(Draining());  // the readers' threads may be gone
    }
    ReadDisk([this, computed_max, snapshot = *snapshot, done] {
      const int repaired = TimesRepaired(snapshot->uid());
      absl::StatusOr<runner::FinalParameters> parameters;
      try {
        parameters = runner::OpenFinalParameters(
            *snapshot, runs_, {computed_max, [this](double bytes) { return HoldMemory(bytes); }},
            options_.limits.datasets);
      } catch (const std::bad_alloc&) {
        return done(ResourceExhausted("MEMORY_IN_USE", "memory",
                                      "the machine has no memory for this answer now",
                                      absl::Seconds(1)));
      }
      if (absl::IsNotFound(parameters.status())) {
        return done(FailedPrecondition(
            "PARAMETERS_NOT_KEPT", snapshot->name(),
            absl::StrCat(parameters.status().message(),
                         store_.survives_restart()
                             ? ""
                             : "; a server without --data-dir keeps no parameters")));
      }
      return parameters.ok()
                 ? done(std::move(parameters))
                 : done(WithDetails(NoteDamage(snapshot, repaired, parameters.status())));
    });
  });
}

void Jobs::Cancel(const std::string& name, JobDone done) {
  if (const auto job = FindUnfinished(name); job != nullptr) {
    return CancelUnfinished(job, std::move(done));
  }
  Get(name, std::move(done));
}

void Jobs::CancelUnfinished(const std::shared_ptr<Job>& job, JobDone done) {
  bool was_queued = false;
  // One that an earlier server had begun has records: its turn comes, and it ends with them.
  if (job->snapshot()->state() == v1::TrainingJob::STATE_QUEUED) {
    const base::MutexLock lock(&mutex_);
    const auto place = std::find(queue_.begin(), queue_.end(), job);
    if (place != queue_.end()) {
      queue_.erase(place);
      --places_taken_;
      was_queued = true;
    }
  }
  if (was_queued) {
    v1::TrainingJob form = *job->snapshot();
    form.set_state(v1::TrainingJob::STATE_CANCELLED);
    form.mutable_termination()->set_reason(v1::Termination::REASON_CANCELLED);
    return Finish(job, std::move(form),
                  [this, job, done = std::move(done)](const absl::Status& status) {
                    if (status.ok()) {
                      return done(job->snapshot());
                    }
                    Requeue(job);  // it is not cancelled
                    done(WithDetails(status));
                  });
  }
  store_.RequestCancel(job->snapshot()->name(),
                       [job, done = std::move(done)](const absl::Status& status) {
                         // Not found: it has just ended.
                         if (!status.ok() && !absl::IsNotFound(status)) {
                           return done(WithDetails(status));
                         }
                         job->stop().RequestStop();
                         done(job->snapshot());
                       });
}

void Jobs::Requeue(const std::shared_ptr<Job>& job) {
  {
    const base::MutexLock lock(&mutex_);
    queue_.push_front(job);
    ++places_taken_;
    MakeWay();
  }
  Schedule(&Jobs::RunNext);
}

// Under the lock that Drain takes: once it has returned the workers may be gone.
void Jobs::Schedule(void (Jobs::*work)()) {
  const base::MutexLock lock(&mutex_);
  if (!draining()) {
    workers_.Submit([this, work] { (this->*work)(); });
  }
}

void Jobs::Delete(const std::string& name, Done done) {
  Get(name, [this, name, done = std::move(done)](const auto& snapshot) {
    if (absl::IsDataLoss(snapshot.status())) {
      return ForgetDamaged(name, "", absl::OkStatus(), done);
    }
    if (!snapshot.ok()) {
      return done(snapshot.status());
    }
    const v1::TrainingJob& job = **snapshot;
    if (!job.has_end_time()) {
      return done(FailedPrecondition(
          "JOB_ACTIVE", job.name(),
          absl::StrCat(job.name(), " has not ended; accepted: an ended job (cancel it first)")));
    }
    Forget(*snapshot, [this, job = *snapshot, done](const absl::Status& forgotten,
                                                    const absl::Status& /*removed*/) {
      // What was in memory is whole, and the row on the disk may not be.
      absl::IsDataLoss(forgotten) ? ForgetDamaged(job->name(), job->uid(), forgotten, done)
                                  : done(forgotten);
    });
  });
}

void Jobs::Drain() {
  drain_.RequestStop();
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& [name, job] : unfinished_) {
      job->stop().RequestStop();
    }
    if (repair_stop_ != nullptr) {
      repair_stop_->RequestStop();
    }
  }
  pulse_.WakeAll();
}

}  // namespace polyak::jobs
