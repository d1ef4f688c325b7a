#include <algorithm>
#include <chrono>
#include <future>
#include <limits>
#include <new>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/jobs/errors.h"
#include "server/jobs/group.h"
#include "server/jobs/jobs.h"
#include "server/runner/stepped_run.h"
#include "server/spec/describe.h"
#include "server/spec/parse_training_job.h"

// The way of jobs from the queue to their ends: one by itself, or several in step.

namespace polyak::jobs {
namespace {

// How often a run is begun without a new record before the disk's error ends it.
constexpr int kAttemptsMax = 3;

// How long those that run wait at most while others are prepared and opened, one of them at least.
constexpr double kPreparingSeconds = 0.05;

// Why a stored spec is not accepted any more, for people: the job's error has no details.
absl::Status Refused(const spec::Violations& violations) {
  const spec::Violation& first = violations.kept().front();
  return absl::InvalidArgumentError(absl::StrCat(
      "this server does not accept the stored spec: ", first.field, ": ", first.description));
}

// Again from the stored spec: everything follows from it.
absl::StatusOr<std::shared_ptr<const runner::PreparedJob>> PrepareAgain(
    const v1::TrainingJob& job, const spec::Limits& limits, runner::KnownProblems& known) {
  POLYAK_RETURN_IF_ERROR(runner::CheckNamedDataset(job.spec(), limits.datasets));
  spec::Violations violations;
  auto spec = spec::ParseTrainingJobSpec(job.spec(), limits, violations);
  if (!violations.empty()) {
    return Refused(violations);
  }
  runner::KeepPlan(job, *spec);
  try {
    POLYAK_RETURN_IF_ERROR(runner::LoadData(*spec));
    auto prepared = runner::Prepare(*spec, violations, &known);
    if (!violations.empty()) {
      return Refused(violations);
    }
    return prepared;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the machine ran out of memory");
  }
}

}  // namespace

struct Jobs::Member {
  explicit Member(std::shared_ptr<Job> taken) : job(std::move(taken)), form(*job->snapshot()) {}

  enum class Stage {
    kBeginning,   // it is to be prepared
    kPuttingOff,  // its data can't be read now: back to the queue
    kOpening,     // its trace is to be opened
    kRunning,
    kEnding,   // its end is to be stored
    kStoring,  // which the store is about to answer
    kGone,
  };

  const std::shared_ptr<Job> job;
  v1::TrainingJob form;
  Stage stage = Stage::kBeginning;
  double wakes_at = 0;  // monotonic seconds: nothing is to be done before
  std::shared_ptr<const runner::PreparedJob> prepared;
  std::shared_ptr<storage::Trace> trace;
  std::optional<runner::RunContext> context;
  std::optional<runner::SteppedRun> run;
  int attempts = 0;      // without a new record
  int64_t records = -1;  // after the last one
  std::future<absl::Status> stored;
};

std::vector<std::shared_ptr<Job>> Jobs::TakeGroup() {
  const std::string& key = queue_.front()->group_key;
  const int64_t seen = std::min<int64_t>(std::ssize(queue_), options_.group_max * options_.workers);
  int64_t alike = 1;
  while (alike < seen && !key.empty() && queue_[static_cast<size_t>(alike)]->group_key == key) {
    ++alike;
  }
  // Workers that run a group of this matrix have had their share.
  const auto have = groups_running_.find(key);
  const int64_t others = options_.workers - 1 - (have == groups_running_.end() ? 0 : have->second);
  const int64_t size = std::min(GroupSize(alike, std::max<int64_t>(others, 0)), options_.group_max);
  std::vector<std::shared_ptr<Job>> group(queue_.begin(), queue_.begin() + size);
  queue_.erase(queue_.begin(), queue_.begin() + size);
  places_taken_ -= size;
  return group;
}

void Jobs::RunNext() {
  std::vector<std::shared_ptr<Job>> group;
  {
    const base::MutexLock lock(&mutex_);
    if (queue_.empty() || draining()) {
      return;  // cancelled or taken while it waited, or the server is about to stop
    }
    ++running_;
    group = TakeGroup();
    ++groups_running_[group.front()->group_key];
  }
  RunGroup(group);
  const base::MutexLock lock(&mutex_);
  --running_;
  const auto place = groups_running_.find(group.front()->group_key);
  if (--place->second == 0) {
    groups_running_.erase(place);
  }
}

void Jobs::RunGroup(const std::vector<std::shared_ptr<Job>>& group) {
  std::vector<std::unique_ptr<Member>> members;
  members.reserve(group.size());
  for (const std::shared_ptr<Job>& job : group) {
    members.push_back(std::make_unique<Member>(job));
  }
  std::vector<runner::SteppedRun*> runs;
  while (!members.empty()) {
    AdvanceMembers(members);
    runs.clear();
    for (const auto& member : members) {
      if (member->stage == Member::Stage::kRunning && member->wakes_at == 0) {
        runs.push_back(&*member->run);
      }
    }
    if (runs.empty()) {
      WaitForAny(members);
    } else {
      runner::AdvanceBySlice(runs, clock_);
      NoteSlice(members);
    }
    std::erase_if(members,
                  [](const auto& member) { return member->stage == Member::Stage::kGone; });
  }
}

// Whoever runs has had its slice, unless it sleeps.
void Jobs::NoteSlice(const std::vector<std::unique_ptr<Member>>& members) {
  for (const auto& member : members) {
    if (member->stage != Member::Stage::kRunning) {
      continue;
    }
    if (member->run->ended()) {
      EndRun(*member, member->run->TakeResult());
    } else if (member->run->waits() && member->wakes_at == 0) {
      member->wakes_at = clock_.MonotonicSeconds() + absl::ToDoubleSeconds(runner::kDiskProbe);
    }
  }
}

void Jobs::AdvanceMembers(const std::vector<std::unique_ptr<Member>>& members) {
  const double begin = clock_.MonotonicSeconds();
  bool has_prepared = false;
  for (const auto& member : members) {
    if (member->wakes_at > 0 && clock_.MonotonicSeconds() < member->wakes_at) {
      continue;
    }
    member->wakes_at = 0;
    const bool prepares =
        member->stage == Member::Stage::kBeginning || member->stage == Member::Stage::kOpening;
    if (prepares && has_prepared && clock_.MonotonicSeconds() >= begin + kPreparingSeconds) {
      continue;  // after the slice of those that run
    }
    has_prepared = has_prepared || prepares;
    Advance(*member);
  }
}

void Jobs::Advance(Member& member) {
  switch (member.stage) {
    case Member::Stage::kBeginning:
      BeginMember(member);
      return member.stage == Member::Stage::kOpening ? OpenMember(member) : void();
    case Member::Stage::kPuttingOff:
      return PutBack(member);
    case Member::Stage::kOpening:
      return OpenMember(member);
    case Member::Stage::kEnding:
      return StoreEnd(member);
    case Member::Stage::kStoring:
      return LookForEnd(member);
    case Member::Stage::kRunning:
    case Member::Stage::kGone:
      return;
  }
}

void Jobs::WaitForAny(const std::vector<std::unique_ptr<Member>>& members) {
  double wakes_at = std::numeric_limits<double>::infinity();
  Member* asleep = nullptr;
  for (const auto& member : members) {
    if (member->stage == Member::Stage::kGone) {
      continue;
    }
    if (member->wakes_at == 0 && member->stage != Member::Stage::kStoring) {
      return;
    }
    if (member->wakes_at > 0 && member->wakes_at < wakes_at) {
      wakes_at = member->wakes_at;
      asleep = member.get();
    }
  }
  if (asleep != nullptr) {
    clock_.Sleep(absl::Seconds(std::max(0.0, wakes_at - clock_.MonotonicSeconds())));
    asleep->wakes_at = 0;
    return;
  }
  for (const auto& member : members) {
    if (member->stage == Member::Stage::kStoring) {
      return member->stored.wait();
    }
  }
}

// Whether the server is about to go, or the job is not wanted any more and can't have records that
// it must end with: then it ends, or stays as it is for the next server.
bool Jobs::EndUnlessWanted(Member& member) {
  const bool stops = member.job->stop().stop_requested() && !member.job->has_run() &&
                     member.job->reader()->row_count() == 0;
  if (!stops && !draining()) {
    return false;
  }
  member.job->set_pause_reason("");
  EndRun(member, runner::RunResult{engine::StopReason::kCancelled, 0, {}});
  return true;
}

void Jobs::BeginMember(Member& member) {
  const std::shared_ptr<Job>& job = member.job;
  v1::TrainingJob& form = member.form;
  const bool begins = form.state() != v1::TrainingJob::STATE_RUNNING;
  if (!begins && job->reader()->row_count() == 0) {
    OpenRecords(*job);
  }
  if (EndUnlessWanted(member)) {
    return;
  }
  absl::StatusOr<std::shared_ptr<const runner::PreparedJob>> prepared = job->TakePrepared();
  if (*prepared == nullptr) {
    prepared = PrepareAgain(form, options_.limits, known_);
  }
  const bool has_no_data = absl::IsUnavailable(prepared.status());
  if (has_no_data && (draining() || !job->stop().stop_requested())) {
    job->set_pause_reason(std::string{prepared.status().message()});
    member.stage = Member::Stage::kPuttingOff;
    member.wakes_at = clock_.MonotonicSeconds() + absl::ToDoubleSeconds(runner::kBetweenAttempts);
    return;
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
  if (prepared.ok()) {
    member.prepared = *std::move(prepared);
    member.stage = Member::Stage::kOpening;
  } else if (has_no_data) {  // and is not wanted any more
    EndRun(member, runner::RunResult{engine::StopReason::kCancelled, 0, {}});
  } else {
    EndRun(member, prepared.status());
  }
}

void Jobs::OpenMember(Member& member) {
  if (EndUnlessWanted(member)) {
    return;
  }
  const std::shared_ptr<Job>& job = member.job;
  auto trace = runs_.OpenTrace(member.form);
  if (absl::IsResourceExhausted(trace.status()) && !draining()) {
    if (job->stop().stop_requested()) {
      job->set_pause_reason("");
      return EndRun(member, runner::RunResult{engine::StopReason::kCancelled, 0, {}});
    }
    job->set_pause_reason(std::string{trace.status().message()});
    member.wakes_at = clock_.MonotonicSeconds() + absl::ToDoubleSeconds(runner::kDiskProbe);
    return;
  }
  job->set_pause_reason("");
  if (!trace.ok()) {
    return EndRun(member, trace.status());
  }
  member.trace = *std::move(trace);
  job->set_trace(member.trace);
  member.context.emplace(
      runner::RunContext{member.form.uid(), runs_, *member.trace, job->stop(), drain_, clock_});
  member.context->on_pause = [job](const std::string& reason) { job->set_pause_reason(reason); };
  member.run.emplace(*member.prepared, *member.context);
  member.stage = Member::Stage::kRunning;
}

void Jobs::PutBack(Member& member) {
  {
    const base::MutexLock lock(&mutex_);
    queue_.push_back(member.job);
    ++places_taken_;
  }
  Schedule(&Jobs::RunNext);
  member.stage = Member::Stage::kGone;
}

void Jobs::EndRun(Member& member, absl::StatusOr<runner::RunResult> result) {
  const std::shared_ptr<Job>& job = member.job;
  const bool ran = member.run.has_value();
  member.run.reset();
  member.context.reset();
  member.trace.reset();
  if (absl::IsAborted(result.status())) {
    // Another attempt has the run now, and tells of its end.
    member.prepared.reset();
    member.stage = Member::Stage::kGone;
    return;
  }
  if (ran && !result.ok() && !draining()) {
    // Rows of the last slice may be in the file that were never shown: who reads now and who reads
    // later must find the same ones.
    OpenRecords(*job);
  }
  if (member.prepared != nullptr && absl::IsUnavailable(result.status()) && !draining()) {
    // The disk failed, or there was no file descriptor left.
    const int64_t before = std::exchange(member.records, job->reader()->row_count());
    member.attempts = member.records > before ? 1 : member.attempts + 1;
    if (member.attempts < kAttemptsMax) {
      member.stage = Member::Stage::kOpening;
      member.wakes_at = clock_.MonotonicSeconds() + absl::ToDoubleSeconds(runner::kBetweenAttempts);
      return;
    }
  }
  member.prepared.reset();  // who is told of the end finds its memory free
  if (draining() && (!result.ok() || result->reason == engine::StopReason::kCancelled)) {
    member.stage = Member::Stage::kGone;  // interrupted, not ended: the job stays RUNNING
    return;
  }
  v1::TrainingJob& form = member.form;
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
  StoreEnd(member);
}

// A store that can't tell whether the end will last ends the server: it says so itself.
void Jobs::StoreEnd(Member& member) {
  auto answer = std::make_shared<std::promise<absl::Status>>();
  member.stored = answer->get_future();
  member.stage = Member::Stage::kStoring;
  Finish(member.job, member.form,
         [answer](const absl::Status& status) { answer->set_value(status); });
}

void Jobs::LookForEnd(Member& member) {
  if (member.stored.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    return;
  }
  const absl::Status stored = member.stored.get();
  if (absl::IsResourceExhausted(stored) && !draining()) {
    member.job->set_pause_reason(std::string{stored.message()});
    member.stage = Member::Stage::kEnding;
    member.wakes_at = clock_.MonotonicSeconds() + absl::ToDoubleSeconds(runner::kDiskProbe);
    return;
  }
  member.job->set_pause_reason(
      absl::IsDataLoss(stored)
          ? absl::StrCat("it has ended, which can't be stored: ", std::string{stored.message()})
          : "");
  member.stage = Member::Stage::kGone;
}

}  // namespace polyak::jobs
