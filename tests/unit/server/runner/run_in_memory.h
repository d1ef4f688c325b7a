#pragma once

#include "server/runner/runner.h"
#include "server/storage/memory_run_store.h"

namespace polyak::runner {

// A run whose records go to `trace` and that keeps nothing else.
inline absl::StatusOr<RunResult> RunInMemory(const PreparedJob& job, storage::Trace& trace,
                                             const base::Clock& clock,
                                             const base::StopToken& stop = {}) {
  storage::MemoryRunStore store(engine::kTraceColumns);
  const base::StopToken drain;
  return Run(job, {"a", store, trace, stop, drain, clock});
}

}  // namespace polyak::runner
