#include "server/runner/runner.h"

#include "server/runner/stepped_run.h"

namespace polyak::runner {

absl::StatusOr<RunResult> Run(const PreparedJob& job, const RunContext& context) {
  SteppedRun run(job, context);
  SteppedRun* const alone = &run;
  while (!run.ended()) {
    AdvanceBySlice({&alone, 1}, context.clock);
    if (run.waits()) {
      context.clock.Sleep(kDiskProbe);
    }
  }
  return run.TakeResult();
}

}  // namespace polyak::runner
