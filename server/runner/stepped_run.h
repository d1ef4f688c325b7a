#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/trainer/advance_together.h"
#include "server/engine/trainer/trainer.h"
#include "server/runner/checkpoint_schedule.h"
#include "server/runner/runner.h"

namespace polyak::runner {

// Runs in step with each other, at most.
inline constexpr int64_t kGroupMax = 64;

// Sizes slices by the time the last one took. Only where slices end depends on it, never a number.
class Slices {
 public:
  int64_t records() const { return records_; }
  // records: of the last slice, which may have been fewer than were asked for.
  void Took(int64_t records, double seconds);

 private:
  int64_t records_ = 1;
};

// A trainer and its training time before, in seconds.
struct StartedTrainer {
  std::unique_ptr<engine::Trainer> trainer;
  double elapsed_seconds = 0;
};

// One run, a slice at a time, that never waits: so that several can be in step. What it does, and
// its errors: Run. The first slice is done by Begin, by itself, since it is what allocates.
class SteppedRun {
 public:
  // Both outlive it.
  SteppedRun(const PreparedJob& job, const RunContext& context);

  // Only while it has not ended: what is to be advanced, by as many records or fewer, before End is
  // called. No trainer: nothing now, and no End.
  engine::TrainerShare Begin();
  //   members: how many runs were in step, which divide the time of the slice among them.
  void End(int64_t members);
  // Ends it with this error.
  void Fail(const absl::Status& error);

  // Whether it waits for room on the disk: Begin looks again, which makes sense every kDiskProbe.
  bool waits() const { return waits_; }
  bool ended() const { return result_.has_value(); }
  // Once, at the end.
  absl::StatusOr<RunResult> TakeResult() { return *std::move(result_); }

 private:
  // Turns errors and exceptions of a step into the result.
  template <typename Step>
  void Try(const Step& step);
  absl::Status RunFirstSlice();
  engine::TrainerShare NextSlice();
  absl::Status EndSlice(int64_t members);
  absl::Status PublishAgain();
  absl::Status EndWait(const absl::Status& status);
  absl::Status EndPublished();
  absl::Status Finish();

  const PreparedJob& job_;
  const RunContext& context_;
  StartedTrainer start_;
  // Records that readers have seen: up to there nothing but the records themselves ends the run.
  int64_t shown_ = 0;
  // Training time is what has passed since record 0, without the time between runs, on a full disk,
  // for checkpoints or for others in step: `origin_` moves on with those.
  double origin_ = 0;
  double now_ = 0;  // at the end of the last slice
  Slices slices_;
  std::optional<CheckpointSchedule> schedule_;
  engine::Progress progress_;
  RunResult kept_ = {engine::StopReason::kCancelled, 0, {}};
  bool waits_ = false;
  double waits_since_ = 0;
  std::optional<absl::StatusOr<RunResult>> result_;
};

// One slice of each of these runs, none of which has ended, in step: as many records of each.
//   runs: at most kGroupMax.
void AdvanceBySlice(std::span<SteppedRun* const> runs);

}  // namespace polyak::runner
