#include <future>
#include <new>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/jobs/errors.h"
#include "server/jobs/jobs.h"
#include "server/spec/describe.h"
#include "server/spec/parse_training_job.h"

// The way of a job from the queue to its end, and what a new server does with the jobs that an
// earlier one left.

namespace polyak::jobs {
namespace {

// How often a run is begun without a new record before the disk's error ends it.
constexpr int kAttemptsMax = 3;
constexpr absl::Duration kBetweenAttempts = absl::Seconds(1);

// Why a stored spec is not accepted any more, for people: the job's error has no details.
absl::Status Refused(const spec::Violations& violations) {
  const spec::Violation& first = violations.kept().front();
  return absl::InvalidArgumentError(absl::StrCat(
      "this server does not accept the stored spec: ", first.field, ": ", first.description));
}

// Again from the stored spec: everything follows from it.
absl::StatusOr<std::shared_ptr<const runner::PreparedJob>> PrepareAgain(
    const v1::TrainingJob& job, const spec::Limits& limits) {
  POLYAK_RETURN_IF_ERROR(runner::CheckNamedDataset(job.spec(), limits.datasets));
  spec::Violations violations;
  auto spec = spec::ParseTrainingJobSpec(job.spec(), limits, violations);
  if (!violations.empty()) {
    return Refused(violations);
  }
  runner::KeepPlan(job, *spec);
  try {
    POLYAK_RETURN_IF_ERROR(runner::LoadData(*spec));
    auto prepared = runner::Prepare(*spec, violations);
    if (!violations.empty()) {
      return Refused(violations);
    }
    return prepared;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the machine ran out of memory");
  }
}

}  // namespace

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
    ++running_;
  }
  RunJob(job);
  const base::MutexLock lock(&mutex_);
  --running_;
}

bool Jobs::WaitForRoom(const std::shared_ptr<Job>& job, const absl::Status& status) {
  if (!absl::IsResourceExhausted(status) || draining()) {
    job->set_pause_reason("");
    return false;
  }
  job->set_pause_reason(std::string{status.message()});
  clock_.Sleep(runner::kDiskProbe);
  return true;
}

absl::StatusOr<runner::RunResult> Jobs::RunOnce(const std::shared_ptr<Job>& job,
                                                const v1::TrainingJob& form,
                                                const runner::PreparedJob& prepared) {
  absl::StatusOr<std::shared_ptr<storage::Trace>> trace;
  do {
    trace = runs_.OpenTrace(form);
    if (absl::IsResourceExhausted(trace.status()) && job->stop().stop_requested() && !draining()) {
      job->set_pause_reason("");
      return runner::RunResult{engine::StopReason::kCancelled, 0, {}};
    }
  } while (WaitForRoom(job, trace.status()));
  POLYAK_RETURN_IF_ERROR(trace.status());
  job->set_trace(*trace);
  runner::RunContext context{form.uid(), runs_, **trace, job->stop(), drain_, clock_};
  context.on_pause = [&job](const std::string& reason) { job->set_pause_reason(reason); };
  auto result = runner::Run(prepared, context);
  if (!result.ok() && !draining() && !absl::IsAborted(result.status())) {
    // Rows of the last slice may be in the file that were never shown: who reads now and who reads
    // later must find the same ones.
    OpenRecords(*job);
  }
  return result;
}

absl::StatusOr<runner::RunResult> Jobs::RunToEnd(const std::shared_ptr<Job>& job,
                                                 const v1::TrainingJob& form,
                                                 const runner::PreparedJob& prepared) {
  int attempts = 0;
  int64_t records = -1;
  while (true) {
    auto result = RunOnce(job, form, prepared);
    if (!absl::IsUnavailable(result.status()) || draining()) {
      return result;
    }
    // The disk failed, or there was no file descriptor left.
    const int64_t before = std::exchange(records, job->reader()->row_count());
    attempts = records > before ? 1 : attempts + 1;
    if (attempts >= kAttemptsMax) {
      return result;
    }
    clock_.Sleep(kBetweenAttempts);
  }
}

void Jobs::PutOff(const std::shared_ptr<Job>& job, const absl::Status& why) {
  job->set_pause_reason(std::string{why.message()});
  clock_.Sleep(kBetweenAttempts);
  {
    const base::MutexLock lock(&mutex_);
    queue_.push_back(job);
    ++places_taken_;
  }
  Schedule(&Jobs::RunNext);
}

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

void Jobs::RunJob(const std::shared_ptr<Job>& job) {
  v1::TrainingJob form = *job->snapshot();
  const bool begins = form.state() != v1::TrainingJob::STATE_RUNNING;
  if (!begins && job->reader()->row_count() == 0) {
    OpenRecords(*job);
  }
  absl::StatusOr<std::shared_ptr<const runner::PreparedJob>> prepared = job->TakePrepared();
  if (*prepared == nullptr) {
    prepared = PrepareAgain(form, options_.limits);
  }
  const bool has_no_data = absl::IsUnavailable(prepared.status());
  if (has_no_data && (draining() || !job->stop().stop_requested())) {
    return PutOff(job, prepared.status());
  }
  job->set_pause_reason("");
  const bool elsewhere = AddComputation(*job, form);
  if (begins) {
    form.set_state(v1::TrainingJob::STATE_RUNNING);
    *form.mutable_start_time() = Now();
  }
  if (begins || elsewhere) {
    auto snapshot = std::make_shared<const v1::TrainingJob>(form);
    // Not waited for, and not needed: without it a next server takes the job for one that waits.
    store_.Update(snapshot, [this, job, snapshot](const absl::Status& status) {
      if (status.ok()) {
        job->set_snapshot(snapshot);
        pulse_.Nudge();
      }
    });
  }
  absl::StatusOr<runner::RunResult> result;
  if (prepared.ok()) {
    result = RunToEnd(job, form, **prepared);
    prepared->reset();       // who is told of the end finds its memory free
  } else if (has_no_data) {  // and is not wanted any more
    result = runner::RunResult{engine::StopReason::kCancelled, 0, {}};
  } else {
    result = prepared.status();
  }
  if (absl::IsAborted(result.status())) {
    return;  // another attempt has the run now, and tells of its end
  }
  if (draining() && (!result.ok() || result->reason == engine::StopReason::kCancelled)) {
    return;  // interrupted, not ended: the job stays RUNNING
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
    if (result->records > 0) {
      *form.mutable_summary() = result->summary;
    }
  }
  // A store that can't tell whether the end will last ends the server: it says so itself.
  absl::Status stored;
  do {
    std::promise<absl::Status> answer;
    Finish(job, form, [&answer](const absl::Status& status) { answer.set_value(status); });
    stored = answer.get_future().get();
  } while (WaitForRoom(job, stored));
  if (absl::IsDataLoss(stored)) {
    job->set_pause_reason(
        absl::StrCat("it has ended, which can't be stored: ", std::string{stored.message()}));
  }
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
  job->reserved_bytes = parsed.has_value()
                            ? static_cast<int64_t>(MemoryNeeded(runner::ForecastCost(*parsed)))
                            : 0;  // it will fail when its turn comes, and say why
  if (stored.job->state() == v1::TrainingJob::STATE_RUNNING) {
    // Those that ran at once, unless a catalogue was made anew from very many traces: each takes
    // a file descriptor. The others show their records when their turn comes.
    if (records_opened_++ < options_.workers) {
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
  workers_.Submit([this] { RunNext(); });
}

}  // namespace polyak::jobs
