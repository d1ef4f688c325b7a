#pragma once

#include <cstdint>
#include <exception>
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
inline constexpr int64_t kGroupMax = engine::kTogetherMax;

// Sizes slices by the time that the computing of the last one took, not what was written or waited
// for. Only where slices end depends on it, never a number.
class Slices {
 public:
  int64_t records() const { return records_; }
  // records: of the last slice, which may have been fewer than were asked for.
  void Took(int64_t records, double seconds);

 private:
  int64_t records_ = 1;
};

// One run, a slice at a time, that never waits: so that several can be in step. What it does, and
// its errors: Run. Its calls come in the order Begin, End, Published, Save, from AdvanceBySlice;
// those of different runs may be on different threads.
class SteppedRun {
 public:
  // Both outlive it.
  SteppedRun(const PreparedJob& job, const RunContext& context);

  // Only while it has not ended: what is to be advanced, by as many records or fewer, before End is
  // called. No trainer: nothing now, and no End. The first slice is done here, by itself, since it
  // is what allocates.
  engine::TrainerShare Begin();
  // Ends the slice and shows its records.
  //   seconds: that its computing took, for all that were in step.   members: how many they were,
  //   which divide the time among them.
  void End(double seconds, int64_t members);
  // After End of all of them: how long that took.
  void Published(double seconds, int64_t members);
  // Instead of End: ends it by what its trainer has thrown.
  void Fail(const std::exception_ptr& failure);

  // Whether it has come to its end, and only Save is to be called.
  bool must_save() const { return at_end_; }
  // Whether, by its own time, a checkpoint may be made now; all that are in step make theirs at
  // once.
  bool may_save() const { return schedule_->Due(in_step_); }
  bool keeps_checkpoints() const { return context_.replayed == nullptr; }
  // Syncs the trace and writes a checkpoint: the last one, or one on the way.
  void Save();
  // After Save of all of them, on the way: how long that took, which is no training time.
  void Saved(double seconds) { schedule_->Made(in_step_, seconds); }

  // Whether it waits for room on the disk: Begin looks again, which makes sense every kDiskProbe.
  bool waits() const { return waits_; }
  bool ended() const { return result_.has_value(); }
  // Once, at the end.
  absl::StatusOr<RunResult> TakeResult() { return *std::move(result_); }

 private:
  // Turns errors and exceptions of a step into the result.
  template <typename Step>
  void Try(const Step& step);
  // As it was when its last slice was shown, since it was stopped in mid-slice.
  void EndStopped();
  // Whether nobody waits for records that are not there yet.
  bool Unwanted() const;
  absl::Status RunFirstSlice();
  engine::TrainerShare NextSlice();
  void AddTime(double seconds, int64_t members);
  absl::Status EndSlice(double seconds, int64_t members);
  absl::Status EndWait(const absl::Status& status);
  // Notes what the run ends with if it comes no further.
  void Keep();
  void EndPublished();
  absl::Status SaveAtEnd();

  const PreparedJob& job_;
  const RunContext& context_;
  std::unique_ptr<engine::Trainer> trainer_;
  // Records that readers have seen: up to there nothing but the records themselves ends the run.
  int64_t shown_ = 0;
  // Training time: of slices, the share of this run, without what is spent between them, on a full
  // disk or for checkpoints.
  double elapsed_ = 0;
  // The same, but all of the time of slices that others had a share of: a crash would cost it.
  double in_step_ = 0;
  Slices slices_;
  std::optional<CheckpointSchedule> schedule_;  // by in_step_
  engine::Progress progress_;
  RunResult kept_ = {engine::StopReason::kCancelled, 0, {}};
  bool waits_ = false;
  bool at_end_ = false;
  std::optional<absl::StatusOr<RunResult>> result_;
};

// One slice of each of these runs, none of which has ended, in step: as many records of each.
// Checkpoints, which mostly wait for the disk, are made at once on several threads.
//   runs: at most kGroupMax, on one clock.
void AdvanceBySlice(std::span<SteppedRun* const> runs, const base::Clock& clock);

}  // namespace polyak::runner
