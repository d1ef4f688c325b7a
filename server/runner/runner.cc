#include "server/runner/runner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <utility>

#include "server/base/status_macros.h"
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

absl::StatusOr<RunResult> RunSlices(const PreparedJob& job, storage::TraceWriter& trace,
                                    const base::StopToken& stop, const base::Clock& clock) {
  const double start = clock.MonotonicSeconds();
  POLYAK_ASSIGN_OR_RETURN(auto stepper, job.plan.entry->make(job.experiment));
  engine::Trainer trainer(job.experiment, job.theory, job.spec.stopping, std::move(stepper), trace,
                          stop);
  const double limit =
      job.spec.stopping.max_seconds.value_or(std::numeric_limits<double>::infinity());
  Slices slices;
  engine::Progress progress;
  double now = start;
  while (true) {
    trace.Reserve(slices.records());
    progress = trainer.Advance(slices.records());
    const double before = std::exchange(now, clock.MonotonicSeconds());
    trace.Publish(now - start);
    slices.Took(now - before);
    // At one record the time limit goes before a cancel, and after everything else.
    if (now - start >= limit && progress.reason.value_or(engine::StopReason::kCancelled) ==
                                    engine::StopReason::kCancelled) {
      progress.reason = engine::StopReason::kTimeLimit;
    }
    if (!progress.running()) {
      break;
    }
  }
  return RunResult{*progress.reason, spec::DescribeSummary(trainer.summary(), now - start)};
}

}  // namespace

absl::StatusOr<RunResult> Run(const PreparedJob& job, storage::TraceWriter& trace,
                              const base::StopToken& stop, const base::Clock& clock) {
  try {
    return RunSlices(job, trace, stop, clock);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "the machine ran out of memory; the records so far are kept");
  }
}

}  // namespace polyak::runner
