#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "polyak/v1/training_job.pb.h"
#include "server/base/bytes.h"
#include "server/storage/trace.h"

namespace polyak::storage {

// The state of a run after the record `iteration`, from which it can go on.
struct Checkpoint {
  int64_t iteration = 0;
  double elapsed_seconds = 0;  // training time so far
  std::unique_ptr<base::ByteSource> state;
  // What is wrong with others that may be newer: DataLoss, or Unavailable if they can't be read.
  absl::Status passed_over;
};

// The records of an ended job while they are computed again, in a copy beside the damaged file.
// Without Commit the copy goes with the object, and nothing has happened.
class TraceRepair {
 public:
  virtual ~TraceRepair() = default;
  // As one that is opened to go on, of as many rows as the job has. From Rewind(0) on, rows that
  // come are compared, bit by bit, with those that are whole in the damaged file, and take the
  // place of those that are not.
  virtual Trace& trace() = 0;
  // To be called when all rows have come and are synced: the copy takes the damaged file's place,
  // durably. Whoever has the damaged one open keeps it. The trace can't be used any more.
  // Errors: those of the disk; the damaged file may or may not be there still.
  virtual absl::Status Commit() = 0;
};

// Where the records and checkpoints of runs are kept, by the uids of their jobs. Safe from any
// thread. Every call may wait for the disk: not for callback threads.
class RunStore {
 public:
  virtual ~RunStore() = default;
  // The trace of a job that runs, made if there is none; or of one that has ended.
  // Errors: NotFound for an ended job without one; DataLoss if what is there is no trace of this
  // job.
  virtual absl::StatusOr<std::shared_ptr<Trace>> OpenTrace(const v1::TrainingJob& job) = 0;
  // Keeps the state that `save` writes beside the trace, which must be synced up to `iteration`.
  //   elapsed_seconds: training time at that record.
  // Errors: those of the disk; the checkpoint before is then as good as it was.
  virtual absl::Status WriteCheckpoint(const std::string& uid, int64_t iteration,
                                       double elapsed_seconds,
                                       const std::function<void(base::ByteSink&)>& save) = 0;
  // The newest one that is whole and not beyond iteration_max.
  // Errors: NotFound if there is none, DataLoss if there is none that is whole; those of the disk.
  virtual absl::StatusOr<Checkpoint> OpenCheckpoint(const std::string& uid,
                                                    int64_t iteration_max) const = 0;
  // Of a job that has ended with a record.
  // Errors: FailedPrecondition, with the reason, if no repair is possible: another build or class
  // of processor computed the records, or it can't be told which; ResourceExhausted; those of the
  // disk. Cost: a copy of the trace.
  virtual absl::StatusOr<std::unique_ptr<TraceRepair>> OpenRepair(const v1::TrainingJob& job) = 0;
  // Whether OpenRepair can be, its room aside: its FailedPrecondition, or those of the disk.
  // Cost: the heads of the trace.
  virtual absl::Status CheckRepairable(const v1::TrainingJob& job) const = 0;
  // Errors: ResourceExhausted, with the reason, while nothing more can be kept.
  virtual absl::Status CheckRoom() const = 0;
  // Whether less than a tenth of what all runs may take is left, so that old ones should go.
  virtual bool nearly_full() const = 0;
  // What a repair takes beside what is there, for as long as it lasts: a copy of the trace, and a
  // last checkpoint where that is damaged.  Errors: those of the disk.
  virtual absl::StatusOr<int64_t> RepairBytes(const v1::TrainingJob& job) const = 0;
  // Whether so many bytes more are within what all runs may take; the disk itself is not asked.
  // Errors: ResourceExhausted, with the reason.
  virtual absl::Status CheckBudget(int64_t bytes) const = 0;
  // The same if there were only these runs.
  virtual absl::Status CheckBudgetBeside(int64_t bytes,
                                         std::span<const std::string> uids) const = 0;
  // Moves what there is of a run that no job is known for to where nobody looks but a person.
  // Errors: those of the disk.
  virtual absl::Status SetAside(const std::string& uid) = 0;
  // All of a run; OK if there is nothing.  Errors: those of the disk.
  virtual absl::Status Remove(const std::string& uid) = 0;
  // The uids of all runs that have left anything.  Errors: those of the disk.
  virtual absl::StatusOr<std::vector<std::string>> ListUids() const = 0;
};

}  // namespace polyak::storage
