#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "polyak/v1/training_job.pb.h"
#include "server/base/clock.h"
#include "server/base/stop_token.h"
#include "server/runner/prepare.h"
#include "server/storage/run_store.h"
#include "server/storage/trace.h"

namespace polyak::runner {

// How often a run that waits for room on a full disk looks again.
constexpr absl::Duration kDiskProbe = absl::Milliseconds(500);

// And how long one whose disk failed waits before it is begun again.
constexpr absl::Duration kBetweenAttempts = absl::Seconds(1);

struct RunResult {
  engine::StopReason reason;
  int64_t records = 0;  // 0: it ended before its first one could be kept
  v1::Summary summary;  // of these records
};

// What a run works with; all of it outlives the run.
struct RunContext {
  std::string uid;
  storage::RunStore& store;
  // Of engine::kTraceColumns columns, or kDiagnosedTraceColumns for a job with diagnostics: empty,
  // or with the records of the same job's earlier run.
  storage::Trace& trace;
  const base::StopToken& stop;   // ends the run
  const base::StopToken& drain;  // the server is about to go: nothing is worth waiting for
  const base::Clock& clock;
  // Told why the run can't go on for now (the disk is full), and, with "", that it does.
  std::function<void(const std::string& reason)> on_pause = [](const std::string& /*reason*/) {};
  // Of an ended job whose records are all in the trace: they are computed again from the first one
  // to the last, whatever had ended the job, and must come to this summary.
  const v1::Summary* replayed = nullptr;
};

// Runs one job from its preparation to its end on the calling thread: slices of work, the first of
// one record, later ones of at most about 20 ms, each published when done. Goes on from the newest
// checkpoint whose records are all in the trace, if there is one; records after it are recomputed
// and compared; before they are all there the run heeds neither `stop` nor its time limit. Ends
// with the trace synced and a checkpoint of the last record. One that is stopped while it waits for
// room, or while it draws a network's start, ends with the records that it had, without that
// checkpoint. Errors: what the plan answers
// when it can't be made; ResourceExhausted when memory runs out; DataLoss when recomputed records
// differ from stored ones; Unavailable when the disk fails: then the trace must be opened anew, and
// the run begun again.
absl::StatusOr<RunResult> Run(const PreparedJob& job, const RunContext& context);

}  // namespace polyak::runner
