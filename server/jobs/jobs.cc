#include "server/jobs/jobs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "server/base/check.h"
#include "server/jobs/errors.h"
#include "server/runner/canary.h"
#include "server/runner/runner.h"
#include "server/spec/describe.h"
#include "server/spec/parse_names.h"

namespace polyak::jobs {
namespace {

google::protobuf::Timestamp Now(const base::Clock& clock) {
  return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      absl::ToUnixNanos(clock.WallTime()));
}

}  // namespace

Jobs::Jobs(const JobsOptions& options, storage::JobStore& store, const base::Clock& clock)
    : options_(options),
      store_(store),
      clock_(clock),
      all_workers_up_(options.workers),
      pulse_(clock),
      workers_(options.workers, "trainer"),
      admission_(std::max(2, options.workers), "admission"),
      readers_(1, "readers") {
  RunCanaries();
}

Jobs::~Jobs() { Drain(); }

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

void Jobs::RunNext() {
  std::shared_ptr<Job> job;
  {
    const base::MutexLock lock(&mutex_);
    if (queue_.empty() || draining()) {
      return;  // cancelled while it waited, or the server is about to stop
    }
    job = std::move(queue_.front());
    queue_.pop_front();
    --places_taken_;
  }
  RunJob(job);
}

void Jobs::Change(const std::shared_ptr<Job>& job, v1::TrainingJob form) {
  auto snapshot = std::make_shared<const v1::TrainingJob>(std::move(form));
  store_.Update(snapshot, [this, job, snapshot](const absl::Status& status) {
    POLYAK_CHECK(status.ok());
    job->set_snapshot(snapshot);
    pulse_.Nudge();
  });
}

void Jobs::RunJob(const std::shared_ptr<Job>& job) {
  v1::TrainingJob form = *job->snapshot();
  form.set_state(v1::TrainingJob::STATE_RUNNING);
  *form.mutable_start_time() = Now(clock_);
  Change(job, form);
  auto prepared = job->TakePrepared();
  const auto result = runner::Run(*prepared, job->trace(), job->stop(), clock_);
  prepared.reset();
  if (draining() && result.ok() && result->reason == engine::StopReason::kCancelled) {
    return;  // interrupted, not cancelled: the job stays RUNNING
  }
  if (!result.ok()) {
    form.set_state(v1::TrainingJob::STATE_FAILED);
    form.mutable_error()->set_code(static_cast<int>(result.status().code()));
    form.mutable_error()->set_message(std::string{result.status().message()});
  } else {
    form.set_state(result->reason == engine::StopReason::kCancelled
                       ? v1::TrainingJob::STATE_CANCELLED
                       : v1::TrainingJob::STATE_SUCCEEDED);
    *form.mutable_termination() = spec::DescribeTermination(result->reason);
    *form.mutable_summary() = result->summary;
  }
  Finish(job, std::move(form));
}

void Jobs::Finish(const std::shared_ptr<Job>& job, v1::TrainingJob final_form) {
  *final_form.mutable_end_time() = Now(clock_);
  // From here on the job holds its records and its form alone.
  job->TakePrepared();
  const auto kept =
      job->trace().allocated_bytes() + static_cast<int64_t>(final_form.ByteSizeLong());
  {
    const base::MutexLock lock(&mutex_);
    reserved_bytes_ += static_cast<double>(kept - job->reserved_bytes);
    job->reserved_bytes = kept;
  }
  if (options_.on_end) {
    options_.on_end(final_form);
  }
  Change(job, std::move(final_form));
}

storage::JobSnapshot Jobs::WithQueuePlace(const storage::JobSnapshot& snapshot) const {
  if (snapshot->state() != v1::TrainingJob::STATE_QUEUED) {
    return snapshot;
  }
  int64_t ahead = 0;
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& job : queue_) {
      if (job->snapshot()->name() == snapshot->name()) {
        break;
      }
      ++ahead;
    }
  }
  auto placed = std::make_shared<v1::TrainingJob>(*snapshot);
  placed->set_jobs_ahead(ahead);
  return placed;
}

absl::StatusOr<storage::JobSnapshot> Jobs::Get(const std::string& name) const {
  spec::Violations violations;
  if (!spec::CheckJobName(name, violations)) {
    return InvalidArgument(violations);
  }
  auto snapshot = store_.Get(name);
  if (!snapshot.ok()) {
    return JobNotFound(name, snapshot.status().message() == "expired");
  }
  return WithQueuePlace(*snapshot);
}

absl::StatusOr<std::shared_ptr<Job>> Jobs::Find(const std::string& name) const {
  const auto snapshot = Get(name);
  if (!snapshot.ok()) {
    return snapshot.status();
  }
  const base::MutexLock lock(&mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) {
    return JobNotFound(name, true);
  }
  return found->second;
}

absl::StatusOr<storage::JobSnapshot> Jobs::Cancel(const std::string& name) {
  const auto found = Find(name);
  if (!found.ok()) {
    return found.status();
  }
  const std::shared_ptr<Job>& job = *found;
  bool was_queued = false;
  {
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
    Finish(job, std::move(form));
  } else if (!job->ended()) {
    job->stop().RequestStop();
  }
  return job->snapshot();
}

absl::Status Jobs::Delete(const std::string& name) {
  const auto found = Find(name);
  if (!found.ok()) {
    return found.status();
  }
  const std::shared_ptr<Job>& job = *found;
  if (!job->ended()) {
    return FailedPrecondition(
        "JOB_ACTIVE", name,
        absl::StrCat(name, " has not ended; accepted: an ended job (cancel it first)"));
  }
  {
    // Of several deletions of one job the first goes on; the name may soon be another job's.
    const base::MutexLock lock(&mutex_);
    const auto place = jobs_.find(name);
    if (place == jobs_.end() || place->second != job) {
      return JobNotFound(name, true);
    }
    store_.Remove(name, [](const absl::Status& status) { POLYAK_CHECK(status.ok()); });
    jobs_.erase(place);
    reserved_bytes_ -= static_cast<double>(job->reserved_bytes);
  }
  return absl::OkStatus();
}

void Jobs::Drain() {
  draining_.store(true, std::memory_order_release);
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& [name, job] : jobs_) {
      job->stop().RequestStop();
    }
  }
  pulse_.WakeAll();
}

}  // namespace polyak::jobs
