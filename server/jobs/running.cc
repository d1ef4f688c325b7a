#include <unordered_set>
#include <utility>

#include "server/base/status_macros.h"
#include "server/jobs/errors.h"
#include "server/jobs/group.h"
#include "server/jobs/jobs.h"
#include "server/spec/parse_training_job.h"

// The end of a job, and what a new server does with the jobs that an earlier one left. What lies
// between: run_group.cc.

namespace polyak::jobs {

bool Jobs::AddComputation(const Job& job, v1::TrainingJob& form) const {
  if (!form.computations().empty()) {
    const v1::Computation& last = *form.computations().rbegin();
    if (last.build() == options_.build && last.processor() == options_.processor) {
      return false;
    }
  }
  v1::Computation& computation = *form.add_computations();
  computation.set_first_iteration(job.reader()->row_count());
  computation.set_build(options_.build);
  computation.set_processor(options_.processor);
  return true;
}

void Jobs::Finish(const std::shared_ptr<Job>& job, v1::TrainingJob final_form, Done done) {
  *final_form.mutable_end_time() = Now();
  auto snapshot = std::make_shared<const v1::TrainingJob>(std::move(final_form));
  store_.Update(snapshot,
                [this, job, snapshot, done = std::move(done)](const absl::Status& status) {
                  if (status.ok()) {
                    AccountEnd(job, *snapshot);
                    job->set_snapshot(snapshot);
                    pulse_.Nudge();
                  }
                  done(status);
                });
}

// Before anybody is told of the end, so that who is told finds the memory free.
void Jobs::AccountEnd(const std::shared_ptr<Job>& job, const v1::TrainingJob& final_form) {
  // From here on the job holds its records and its form alone; stores on the disk not even those.
  job->TakePrepared();
  const int64_t kept =
      store_.survives_restart()
          ? 0
          : job->reader()->memory_bytes() + static_cast<int64_t>(final_form.ByteSizeLong());
  job->set_trace(Guarded(std::make_shared<const v1::TrainingJob>(final_form), job->reader(),
                         TimesRepaired(final_form.uid())));
  {
    const base::MutexLock lock(&mutex_);
    reserved_bytes_ += static_cast<double>(kept - std::exchange(job->reserved_bytes, kept));
    if (kept > 0) {
      kept_bytes_[final_form.uid()] = kept;
    }
    unfinished_.erase(final_form.name());
    NoteOpened(final_form.name(), job);
  }
  if (options_.on_end) {
    options_.on_end(final_form);
  }
}

absl::StatusOr<int64_t> Jobs::Recover() {
  POLYAK_ASSIGN_OR_RETURN(const auto found, store_.LoadUnfinished());
  POLYAK_RETURN_IF_ERROR(SweepOrphans());
  // What was running goes on first.
  for (const bool running : {true, false}) {
    for (const storage::StoredJob& stored : found) {
      if ((stored.job->state() == v1::TrainingJob::STATE_RUNNING) == running) {
        TakeUp(stored);
      }
    }
  }
  // All of them are in the queue before the first is taken, so that those of one matrix are taken
  // together again.
  for (size_t k = 0; k < found.size(); ++k) {
    workers_.Submit([this] { RunNext(); });
  }
  return static_cast<int64_t>(found.size());
}

// Files of jobs that were deleted just before the process ended; or of jobs that a damaged
// catalogue has lost, so they are not removed.
absl::Status Jobs::SweepOrphans() {
  POLYAK_ASSIGN_OR_RETURN(const auto jobs, store_.LoadUids());
  POLYAK_ASSIGN_OR_RETURN(const auto runs, runs_.ListUids());
  const std::unordered_set<std::string> known(jobs.begin(), jobs.end());
  for (const std::string& uid : runs) {
    if (!known.contains(uid)) {
      const absl::Status moved = runs_.SetAside(uid);  // else at the next start
      if (options_.on_set_aside) {
        options_.on_set_aside(uid, moved);
      }
    }
  }
  return absl::OkStatus();
}

// Readers see at once what was stored; what can't be opened is met again by the run.
void Jobs::OpenRecords(Job& job) {
  if (auto trace = runs_.OpenTrace(*job.snapshot()); trace.ok()) {
    job.set_trace(*std::move(trace));
  }
}

void Jobs::TakeUp(const storage::StoredJob& stored) {
  auto job = std::make_shared<Job>(stored.job, nullptr, options_.limits.datasets);
  spec::Violations violations;
  auto parsed = spec::ParseTrainingJobSpec(stored.job->spec(), options_.limits, violations);
  if (parsed.has_value()) {
    runner::KeepPlan(*stored.job, *parsed);
  }
  job->group_key = GroupKey(*stored.job);
  job->reserved_bytes = parsed.has_value()
                            ? static_cast<int64_t>(MemoryNeeded(runner::ForecastCost(*parsed)))
                            : 0;  // it will fail when its turn comes, and say why
  if (stored.job->state() == v1::TrainingJob::STATE_RUNNING) {
    job->set_has_run();
    // Those that ran at once, unless a catalogue was made anew from very many traces: each takes
    // a file descriptor. The others show their records when their turn comes.
    if (records_opened_++ < options_.workers * options_.group_max) {
      OpenRecords(*job);
    }
  }
  if (stored.cancel_requested) {
    job->stop().RequestStop();
  }
  {
    // They were admitted once: neither the queue's length nor the budget refuses them now.
    const base::MutexLock lock(&mutex_);
    unfinished_.emplace(stored.job->name(), job);
    reserved_bytes_ += static_cast<double>(job->reserved_bytes);
    queue_.push_back(job);
    ++places_taken_;
  }
}

}  // namespace polyak::jobs
