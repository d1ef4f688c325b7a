#include "server/runner/runner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
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
                                           std::move(stepper), context.trace, context.stop);
}

// The newest checkpoint that can be read and is covered by the trace, else record 0.
absl::StatusOr<Start> StartOrResume(const PreparedJob& job, const RunContext& context) {
  Start start;
  int64_t iteration_max = context.trace.row_count() - 1;
  while (iteration_max >= 0) {
    const auto checkpoint = context.store.OpenCheckpoint(context.uid, iteration_max);
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

// Publishes what the last slice appended; while the disk is full, waits for room. Gives up only
// when the server is about to go: what is missing then is computed again. Returns the seconds that
// it waited.
absl::StatusOr<double> Publish(const RunContext& context, double elapsed_seconds) {
  absl::Status status = context.trace.Publish(elapsed_seconds);
  if (status.ok()) {
    return 0;
  }
  if (!absl::IsResourceExhausted(status)) {
    return status;
  }
  context.on_pause(std::string{status.message()});
  const double begin = context.clock.MonotonicSeconds();
  while (absl::IsResourceExhausted(status) && !context.drain.stop_requested()) {
    context.clock.Sleep(kDiskProbe);
    status = context.trace.Publish(elapsed_seconds);
  }
  POLYAK_RETURN_IF_ERROR(status);
  context.on_pause("");
  return context.clock.MonotonicSeconds() - begin;
}

absl::Status SaveState(const RunContext& context, const engine::Trainer& trainer, int64_t iteration,
                       double elapsed_seconds) {
  POLYAK_RETURN_IF_ERROR(context.trace.Sync());
  // Without a new checkpoint the one before is as good as it was, so a failure here ends nothing.
  static_cast<void>(
      context.store.WriteCheckpoint(context.uid, iteration, elapsed_seconds,
                                    [&trainer](base::ByteSink& sink) { trainer.Save(sink); }));
  return absl::OkStatus();
}

absl::StatusOr<RunResult> RunSlices(const PreparedJob& job, const RunContext& context) {
  const double begin = context.clock.MonotonicSeconds();
  POLYAK_ASSIGN_OR_RETURN(const Start start, StartOrResume(job, context));
  engine::Trainer& trainer = *start.trainer;
  // Training time is what has passed since record 0, without the time between runs, on a full disk
  // or for checkpoints: `origin` moves on with those.
  double origin = begin - start.elapsed_seconds;
  const double limit =
      job.spec.stopping.max_seconds.value_or(std::numeric_limits<double>::infinity());
  Slices slices;
  CheckpointSchedule schedule(start.elapsed_seconds);
  engine::Progress progress;
  double now = begin;
  while (true) {
    context.trace.Reserve(slices.records());
    progress = trainer.Advance(slices.records());
    const double before = std::exchange(now, context.clock.MonotonicSeconds());
    slices.Took(now - before);
    POLYAK_ASSIGN_OR_RETURN(const double waited, Publish(context, now - origin));
    origin += waited;
    now += waited;
    // At one record the time limit goes before a cancel, and after everything else.
    if (now - origin >= limit && progress.reason.value_or(engine::StopReason::kCancelled) ==
                                     engine::StopReason::kCancelled) {
      progress.reason = engine::StopReason::kTimeLimit;
    }
    if (!progress.running()) {
      break;
    }
    if (schedule.Due(now - origin)) {
      POLYAK_RETURN_IF_ERROR(SaveState(context, trainer, progress.iteration, now - origin));
      const double cost = context.clock.MonotonicSeconds() - now;
      schedule.Made(now - origin, cost);
      origin += cost;
      now += cost;
    }
  }
  POLYAK_RETURN_IF_ERROR(SaveState(context, trainer, progress.iteration, now - origin));
  return RunResult{*progress.reason, spec::DescribeSummary(trainer.summary(), now - origin)};
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
