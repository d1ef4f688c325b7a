#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "polyak/v1/training_job.pb.h"
#include "server/base/clock.h"
#include "server/base/stop_token.h"
#include "server/runner/prepare.h"
#include "server/storage/trace.h"

namespace polyak::runner {

struct RunResult {
  engine::StopReason reason;
  v1::Summary summary;
};

// Runs one job from its preparation to its end on the calling thread: slices of work, the first of
// one record, later ones of at most about 20 ms, each published when done.
//   trace: of engine::kTraceColumns columns, empty.
// Errors: what the plan answers when it can't be made; ResourceExhausted when memory runs out.
absl::StatusOr<RunResult> Run(const PreparedJob& job, storage::TraceWriter& trace,
                              const base::StopToken& stop, const base::Clock& clock);

}  // namespace polyak::runner
