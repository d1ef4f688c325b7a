#include "server/runner/stepped_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "server/base/check.h"
#include "server/base/parallel.h"
#include "server/base/status_macros.h"
#include "server/engine/trainer/advance_together.h"
#include "server/spec/describe.h"

namespace polyak::runner {
namespace {

absl::StatusOr<std::unique_ptr<engine::Trainer>> MakeTrainer(const PreparedJob& job,
                                                             const RunContext& context,
                                                             const base::StopWish& stops) {
  POLYAK_ASSIGN_OR_RETURN(auto stepper, job.plan.entry->make(job.experiment, stops));
  return std::make_unique<engine::Trainer>(job.experiment, job.theory, job.spec.stopping,
                                           std::move(stepper), context.trace, context.stop,
                                           job.spec.diagnostics_interval);
}

// A trainer and its training time before, in seconds.
struct StartedTrainer {
  std::unique_ptr<engine::Trainer> trainer;
  double elapsed_seconds = 0;
};

// The newest checkpoint that can be read and is covered by the trace, else record 0.
absl::StatusOr<StartedTrainer> StartOrResume(const PreparedJob& job, const RunContext& context,
                                             const base::StopWish& stops) {
  StartedTrainer start;
  int64_t iteration_max = context.replayed == nullptr ? context.trace.row_count() - 1 : -1;
  while (iteration_max >= 0) {
    const auto checkpoint = context.store.OpenCheckpoint(context.uid, iteration_max);
    if (absl::IsUnavailable(checkpoint.status())) {
      return checkpoint.status();
    }
    if (!checkpoint.ok()) {
      break;
    }
    // A new one each time: a load that fails leaves its trainer half-way.
    POLYAK_ASSIGN_OR_RETURN(start.trainer, MakeTrainer(job, context, stops));
    if (start.trainer->Load(*checkpoint->state).ok()) {
      start.elapsed_seconds = checkpoint->elapsed_seconds;
      const absl::Status rewound = context.trace.Rewind(checkpoint->iteration + 1);
      if (rewound.ok()) {
        return start;
      }
      // Records before the checkpoint are damaged: an earlier one computes them again.
      if (!absl::IsDataLoss(rewound)) {
        return rewound;
      }
      start.elapsed_seconds = 0;
    }
    iteration_max = checkpoint->iteration - 1;
  }
  POLYAK_ASSIGN_OR_RETURN(start.trainer, MakeTrainer(job, context, stops));
  POLYAK_RETURN_IF_ERROR(context.trace.Rewind(0));
  return start;
}

absl::Status WriteState(const RunContext& context, const engine::Trainer& trainer,
                        int64_t iteration, double elapsed_seconds) {
  return context.trace.WhileNewest([&] {
    return context.store.WriteCheckpoint(context.uid, iteration, elapsed_seconds,
                                         [&trainer](base::ByteSink& sink) { trainer.Save(sink); });
  });
}

absl::Status SaveState(const RunContext& context, const engine::Trainer& trainer, int64_t iteration,
                       double elapsed_seconds) {
  POLYAK_RETURN_IF_ERROR(context.trace.Sync());
  // Without a new checkpoint the one before is as good as it was, so a failure here ends nothing.
  static_cast<void>(WriteState(context, trainer, iteration, elapsed_seconds));
  return absl::OkStatus();
}

// What is known of the records that are kept.
RunResult Describe(const engine::Trainer& trainer, const engine::Progress& progress,
                   double seconds) {
  return {progress.reason.value_or(engine::StopReason::kCancelled), progress.iteration + 1,
          spec::DescribeSummary(trainer.summary(), seconds)};
}

// Times aside, which no computation repeats.
bool SameSummary(v1::Summary a, v1::Summary b) {
  a.clear_training_time();
  b.clear_training_time();
  return a.SerializeAsString() == b.SerializeAsString();
}

// Compares what is written with what a source holds.
class ComparingSink : public base::ByteSink {
 public:
  explicit ComparingSink(base::ByteSource& source) : source_(source) {}
  void Write(std::string_view bytes) override {
    constexpr size_t kPart = 1 << 16;
    std::string part;
    for (; same_ && !bytes.empty(); bytes.remove_prefix(part.size())) {
      part.resize(std::min(bytes.size(), kPart));
      source_.Read(part);
      same_ = source_.status().ok() && bytes.starts_with(part);
    }
  }
  bool same() const { return same_ && source_.at_end(); }

 private:
  base::ByteSource& source_;
  bool same_ = true;
};

// Whether the newest checkpoint is this very state: a whole one of another layout, which nothing
// can load, is as good as none.   Cost: as a checkpoint, without its sync.
bool HasState(const RunContext& context, const engine::Trainer& trainer, int64_t iteration) {
  const auto checkpoint = context.store.OpenCheckpoint(context.uid, iteration);
  if (!checkpoint.ok() || checkpoint->iteration != iteration) {
    return false;
  }
  ComparingSink sink(*checkpoint->state);
  trainer.Save(sink);
  return sink.same();
}

// The end of a run that has computed all records of an ended job again, or was stopped before.
absl::StatusOr<RunResult> FinishReplay(const RunContext& context, const engine::Trainer& trainer,
                                       const engine::Progress& progress, double seconds) {
  RunResult result = Describe(trainer, progress, seconds);
  if (result.records < context.trace.row_count()) {
    return result;
  }
  if (!SameSummary(result.summary, *context.replayed)) {
    return absl::DataLossError("the recomputed records are not those that the job's summary is of");
  }
  POLYAK_RETURN_IF_ERROR(context.trace.Sync());
  if (!HasState(context, trainer, progress.iteration)) {
    // Not as after a run: the repair may be there for this checkpoint alone.
    POLYAK_RETURN_IF_ERROR(WriteState(context, trainer, progress.iteration, seconds));
  }
  return result;
}

}  // namespace

void Slices::Took(int64_t records, double seconds) {
  constexpr double kSliceSeconds = 0.010;  // aimed at: half of what a reader may wait
  constexpr double kSliceRecordsMax = 1 << 16;
  constexpr double kGrowthMax = 4;  // from one slice to the next, since the first ones are slow
  const double factor = seconds > 0 ? std::min(kSliceSeconds / seconds, kGrowthMax) : kGrowthMax;
  const double next = std::floor(static_cast<double>(records) * factor);
  records_ = static_cast<int64_t>(std::clamp(next, 1.0, kSliceRecordsMax));
}

SteppedRun::SteppedRun(const PreparedJob& job, const RunContext& context)
    : job_(job), context_(context) {}

template <typename Step>
void SteppedRun::Try(const Step& step) {
  try {
    if (const absl::Status status = step(); !status.ok()) {
      result_ = status;
    }
  } catch (const std::bad_alloc&) {
    result_ =
        absl::ResourceExhaustedError("the machine ran out of memory; the records so far are kept");
  } catch (const base::Stopped&) {
    EndStopped();
  }
}

engine::TrainerShare SteppedRun::Begin() {
  engine::TrainerShare share;
  Try([&]() -> absl::Status {
    if (trainer_ == nullptr) {
      return RunFirstSlice();
    }
    if (waits_) {
      return EndWait(context_.trace.Publish(elapsed_));
    }
    share = NextSlice();
    return absl::OkStatus();
  });
  return result_.has_value() ? engine::TrainerShare() : share;
}

void SteppedRun::End(double seconds, int64_t members) {
  Try([=, this] { return EndSlice(seconds, members); });
}

void SteppedRun::Published(double seconds, int64_t members) { AddTime(seconds, members); }

void SteppedRun::Fail(const std::exception_ptr& failure) {
  Try([&failure]() -> absl::Status { std::rethrow_exception(failure); });
}

void SteppedRun::EndStopped() {
  const absl::Status synced = context_.trace.Sync();
  result_ = synced.ok() ? absl::StatusOr<RunResult>(kept_) : synced;
}

// A job that is cancelled ends with all records that were shown, which it has only once what an
// interruption took is computed again.
bool SteppedRun::Unwanted() const {
  return context_.drain.stop_requested() ||
         (context_.stop.stop_requested() && kept_.records >= context_.trace.row_count());
}

absl::Status SteppedRun::RunFirstSlice() {
  POLYAK_ASSIGN_OR_RETURN(StartedTrainer start,
                          StartOrResume(job_, context_, [this] { return Unwanted(); }));
  trainer_ = std::move(start.trainer);
  shown_ = context_.trace.row_count();
  elapsed_ = in_step_ = start.elapsed_seconds;
  schedule_.emplace(in_step_);
  progress_ = trainer_->progress();
  if (progress_.iteration >= 0 && progress_.iteration + 1 >= shown_) {
    Keep();  // what it has, should there be no room for more
  }
  const double begin = context_.clock.MonotonicSeconds();
  trainer_->Advance(NextSlice().records);
  return EndSlice(context_.clock.MonotonicSeconds() - begin, 1);
}

engine::TrainerShare SteppedRun::NextSlice() {
  const int64_t left = shown_ - (progress_.iteration + 1);  // to compute again
  trainer_->set_heeds_stop(left <= 0);
  const int64_t records = left > 0 ? std::min(left, slices_.records()) : slices_.records();
  context_.trace.Reserve(records);
  return {trainer_.get(), records};
}

void SteppedRun::AddTime(double seconds, int64_t members) {
  elapsed_ += seconds / static_cast<double>(members);
  in_step_ += seconds;
}

absl::Status SteppedRun::EndSlice(double seconds, int64_t members) {
  const int64_t first = std::exchange(progress_, trainer_->progress()).iteration;
  slices_.Took(progress_.iteration - first, seconds);
  AddTime(seconds, members);
  const absl::Status status = context_.trace.Publish(elapsed_);
  if (!absl::IsResourceExhausted(status) || context_.replayed != nullptr) {
    POLYAK_RETURN_IF_ERROR(status);
    EndPublished();
    return absl::OkStatus();
  }
  context_.on_pause(std::string{status.message()});
  waits_ = true;
  return EndWait(status);
}

// Unless there is no room yet, and still somebody to wait for.
absl::Status SteppedRun::EndWait(const absl::Status& status) {
  const bool draining = context_.drain.stop_requested();
  const bool no_room = absl::IsResourceExhausted(status);
  if (no_room && !draining && !context_.stop.stop_requested()) {
    return absl::OkStatus();
  }
  waits_ = false;
  const bool gives_up = no_room && !draining;  // the last slice is not kept
  if (!status.ok() && !gives_up) {
    return status;
  }
  context_.on_pause("");
  if (gives_up) {
    POLYAK_RETURN_IF_ERROR(context_.trace.Sync());
    result_ = kept_;
    return absl::OkStatus();
  }
  EndPublished();
  return absl::OkStatus();
}

void SteppedRun::Keep() {
  kept_ = Describe(*trainer_, progress_, elapsed_);
  kept_.reason = engine::StopReason::kCancelled;
}

void SteppedRun::EndPublished() {
  const double limit =
      job_.spec.stopping.max_seconds.value_or(std::numeric_limits<double>::infinity());
  Keep();
  const bool replaying = progress_.iteration + 1 < shown_;
  // At one record the time limit goes before a cancel, and after everything else.
  if (!replaying && elapsed_ >= limit &&
      progress_.reason.value_or(engine::StopReason::kCancelled) == engine::StopReason::kCancelled) {
    progress_.reason = engine::StopReason::kTimeLimit;
  }
  if (replaying && context_.drain.stop_requested()) {
    progress_.reason = engine::StopReason::kCancelled;  // goes on in the next server
  }
  const bool all_replayed = context_.replayed != nullptr && !replaying;
  at_end_ = !progress_.running() || all_replayed;
}

void SteppedRun::Save() {
  Try([this] {
    return at_end_ ? SaveAtEnd() : SaveState(context_, *trainer_, progress_.iteration, elapsed_);
  });
}

absl::Status SteppedRun::SaveAtEnd() {
  if (context_.replayed != nullptr) {
    POLYAK_ASSIGN_OR_RETURN(result_, FinishReplay(context_, *trainer_, progress_, elapsed_));
    return absl::OkStatus();
  }
  POLYAK_RETURN_IF_ERROR(SaveState(context_, *trainer_, progress_.iteration, elapsed_));
  result_ = Describe(*trainer_, progress_, elapsed_);
  return absl::OkStatus();
}

namespace {

// Runs in step during one call.
struct Runs {
  std::array<SteppedRun*, kGroupMax> all = {};
  size_t count = 0;
  void Add(SteppedRun* run) { all[count++] = run; }
  std::span<SteppedRun* const> span() const { return {all.data(), count}; }
};

// Those that go on after their slices were computed and shown; the others have failed.
Runs AdvanceInStep(std::span<SteppedRun* const> runs, const base::Clock& clock) {
  Runs active;
  std::array<engine::TrainerShare, kGroupMax> shares = {};
  int64_t records = std::numeric_limits<int64_t>::max();
  for (SteppedRun* const run : runs) {
    const engine::TrainerShare share = run->Begin();
    if (share.trainer != nullptr) {
      shares[active.count] = share;
      active.Add(run);
      records = std::min(records, share.records);
    }
  }
  // All of them as many: nobody waits for another in mid-slice.
  for (size_t k = 0; k < active.count; ++k) {
    shares[k].records = records;
  }
  const double begin = clock.MonotonicSeconds();
  engine::AdvanceTogether({shares.data(), active.count});
  const double computed = clock.MonotonicSeconds();
  const auto members = static_cast<int64_t>(active.count);
  Runs going;
  for (size_t k = 0; k < active.count; ++k) {
    SteppedRun* const run = active.all[k];
    if (shares[k].failure != nullptr) {
      run->Fail(shares[k].failure);
      continue;
    }
    run->End(computed - begin, members);
    if (!run->ended()) {
      going.Add(run);
    }
  }
  const double published = clock.MonotonicSeconds();
  for (SteppedRun* const run : going.span()) {
    run->Published(published - computed, members);
  }
  return going;
}

void SaveAll(std::span<SteppedRun* const> runs) {
  if (runs.size() == 1) {
    return runs.front()->Save();
  }
  constexpr size_t kPartsMax = 16;  // that wait for the disk, and mostly for the same sync of it
  const size_t parts = std::min(runs.size(), kPartsMax);
  base::RunParts(static_cast<int>(parts), [&runs, parts](int part) {
    for (size_t k = static_cast<size_t>(part); k < runs.size(); k += parts) {
      runs[k]->Save();
    }
  });
}

}  // namespace

void AdvanceBySlice(std::span<SteppedRun* const> runs, const base::Clock& clock) {
  POLYAK_CHECK(std::ssize(runs) <= kGroupMax);
  const Runs going = AdvanceInStep(runs, clock);
  Runs on_the_way;
  for (SteppedRun* const run : going.span()) {
    if (!run->must_save() && !run->waits() && run->keeps_checkpoints()) {
      on_the_way.Add(run);
    }
  }
  // All at once or none: they share the disk's time as they share the slice's, so that what is
  // spent of one's time is spent of all of them.
  if (!std::ranges::all_of(on_the_way.span(), &SteppedRun::may_save)) {
    on_the_way.count = 0;
  }
  Runs saved = on_the_way;
  for (SteppedRun* const run : runs) {
    if (run->must_save() && !run->ended()) {
      saved.Add(run);
    }
  }
  if (saved.count == 0) {
    return;
  }
  const double begin = clock.MonotonicSeconds();
  SaveAll(saved.span());
  const double seconds = clock.MonotonicSeconds() - begin;
  for (SteppedRun* const run : on_the_way.span()) {
    run->Saved(seconds);
  }
}

}  // namespace polyak::runner
