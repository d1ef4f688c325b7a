#include "server/runner/runner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "server/base/status_macros.h"
#include "server/runner/checkpoint_schedule.h"
#include "server/spec/describe.h"

namespace polyak::runner {
namespace {

constexpr double kSliceSeconds = 0.010;  // aimed at: half of what a reader may wait
constexpr int64_t kSliceRecordsMax = 1 << 16;
constexpr double kGrowthMax = 4;  // from one slice to the next, since the first ones are slow

// Sizes slices by the time the last one took. Only where slices end depends on it, never a number.
class Slices {
 public:
  int64_t records() const { return records_; }
  void Took(double seconds) {
    const double factor = seconds > 0 ? std::min(kSliceSeconds / seconds, kGrowthMax) : kGrowthMax;
    const double next = std::floor(static_cast<double>(records_) * factor);
    records_ = std::clamp<int64_t>(static_cast<int64_t>(next), 1, kSliceRecordsMax);
  }

 private:
  int64_t records_ = 1;
};

struct Start {
  std::unique_ptr<engine::Trainer> trainer;
  double elapsed_seconds = 0;  // training time before
};

absl::StatusOr<std::unique_ptr<engine::Trainer>> MakeTrainer(const PreparedJob& job,
                                                             const RunContext& context) {
  POLYAK_ASSIGN_OR_RETURN(auto stepper, job.plan.entry->make(job.experiment));
  return std::make_unique<engine::Trainer>(job.experiment, job.theory, job.spec.stopping,
                                           std::move(stepper), context.trace, context.stop,
                                           job.spec.diagnostics_interval);
}

// The newest checkpoint that can be read and is covered by the trace, else record 0.
absl::StatusOr<Start> StartOrResume(const PreparedJob& job, const RunContext& context) {
  Start start;
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
    POLYAK_ASSIGN_OR_RETURN(start.trainer, MakeTrainer(job, context));
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
  POLYAK_ASSIGN_OR_RETURN(start.trainer, MakeTrainer(job, context));
  POLYAK_RETURN_IF_ERROR(context.trace.Rewind(0));
  return start;
}

struct Published {
  double waited_seconds = 0;
  bool gave_up = false;  // stopped while there was no room: the last slice is not kept
};

// Publishes what the last slice appended; while the disk is full, waits for room, until the run is
// stopped or the server is about to go.
absl::StatusOr<Published> Publish(const RunContext& context, double elapsed_seconds) {
  absl::Status status = context.trace.Publish(elapsed_seconds);
  if (status.ok()) {
    return Published();
  }
  if (!absl::IsResourceExhausted(status) || context.replayed != nullptr) {
    return status;
  }
  context.on_pause(std::string{status.message()});
  const double begin = context.clock.MonotonicSeconds();
  while (absl::IsResourceExhausted(status) && !context.drain.stop_requested() &&
         !context.stop.stop_requested()) {
    context.clock.Sleep(kDiskProbe);
    status = context.trace.Publish(elapsed_seconds);
  }
  const bool gave_up = absl::IsResourceExhausted(status) && !context.drain.stop_requested();
  if (!status.ok() && !gave_up) {
    return status;
  }
  context.on_pause("");
  return Published{context.clock.MonotonicSeconds() - begin, gave_up};
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

absl::StatusOr<RunResult> RunSlices(const PreparedJob& job, const RunContext& context) {
  POLYAK_ASSIGN_OR_RETURN(const Start start, StartOrResume(job, context));
  engine::Trainer& trainer = *start.trainer;
  // What readers have seen: up to there nothing but the records themselves ends the run.
  const int64_t shown = context.trace.row_count();
  const double begin = context.clock.MonotonicSeconds();
  // Training time is what has passed since record 0, without the time between runs, on a full disk
  // or for checkpoints: `origin` moves on with those.
  double origin = begin - start.elapsed_seconds;
  const double limit =
      job.spec.stopping.max_seconds.value_or(std::numeric_limits<double>::infinity());
  Slices slices;
  CheckpointSchedule schedule(start.elapsed_seconds);
  engine::Progress progress = trainer.Advance(0);
  RunResult kept = {engine::StopReason::kCancelled, 0, {}};
  double now = begin;
  while (true) {
    const int64_t left = shown - (progress.iteration + 1);  // to compute again
    trainer.set_heeds_stop(left <= 0);
    const int64_t records = left > 0 ? std::min(left, slices.records()) : slices.records();
    context.trace.Reserve(records);
    progress = trainer.Advance(records);
    const double before = std::exchange(now, context.clock.MonotonicSeconds());
    slices.Took(now - before);
    POLYAK_ASSIGN_OR_RETURN(const Published published, Publish(context, now - origin));
    if (published.gave_up) {
      POLYAK_RETURN_IF_ERROR(context.trace.Sync());
      return kept;
    }
    origin += published.waited_seconds;
    now += published.waited_seconds;
    kept = Describe(trainer, progress, now - origin);
    kept.reason = engine::StopReason::kCancelled;
    const bool replaying = progress.iteration + 1 < shown;
    // At one record the time limit goes before a cancel, and after everything else.
    if (!replaying && now - origin >= limit &&
        progress.reason.value_or(engine::StopReason::kCancelled) ==
            engine::StopReason::kCancelled) {
      progress.reason = engine::StopReason::kTimeLimit;
    }
    if (replaying && context.drain.stop_requested()) {
      progress.reason = engine::StopReason::kCancelled;  // goes on in the next server
    }
    const bool all_replayed = context.replayed != nullptr && !replaying;
    if (!progress.running() || all_replayed) {
      break;
    }
    if (context.replayed == nullptr && schedule.Due(now - origin)) {
      POLYAK_RETURN_IF_ERROR(SaveState(context, trainer, progress.iteration, now - origin));
      const double cost = context.clock.MonotonicSeconds() - now;
      schedule.Made(now - origin, cost);
      origin += cost;
      now += cost;
    }
  }
  if (context.replayed != nullptr) {
    return FinishReplay(context, trainer, progress, now - origin);
  }
  POLYAK_RETURN_IF_ERROR(SaveState(context, trainer, progress.iteration, now - origin));
  return Describe(trainer, progress, now - origin);
}

}  // namespace

absl::StatusOr<RunResult> Run(const PreparedJob& job, const RunContext& context) {
  try {
    return RunSlices(job, context);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "the machine ran out of memory; the records so far are kept");
  }
}

}  // namespace polyak::runner
