#pragma once

#include <memory>
#include <optional>

#include "server/base/mutex.h"
#include "server/base/stop_token.h"
#include "server/engine/theory/theory.h"
#include "server/runner/prepare.h"
#include "server/storage/job_store.h"
#include "server/storage/trace.h"

namespace polyak::jobs {

// One job while the server holds it: its latest snapshot, its trace, and the wish to stop. Shared
// by the worker that runs it and the handlers that read it.
class Job {
 public:
  Job(storage::JobSnapshot snapshot, std::shared_ptr<const runner::PreparedJob> prepared);

  storage::JobSnapshot snapshot() const;
  void set_snapshot(storage::JobSnapshot snapshot);
  bool ended() const { return snapshot()->has_end_time(); }

  const runner::PreparedJob& prepared() const { return *prepared_; }
  storage::MemoryTrace& trace() { return trace_; }
  const storage::TraceReader& reader() const { return trace_; }
  base::StopToken& stop() { return stop_; }

  // The linearised dynamics for the predicted curve, computed at the first call and kept.
  // Cost: see engine::Linearize; not for callback threads.
  const engine::LinearizedStart& Linearized();

  int64_t reserved_bytes = 0;  // of the memory budget; kept by Jobs

 private:
  const std::shared_ptr<const runner::PreparedJob> prepared_;
  storage::MemoryTrace trace_;
  base::StopToken stop_;
  mutable base::Mutex mutex_;
  storage::JobSnapshot snapshot_ ABSL_GUARDED_BY(mutex_);
  base::Mutex linearize_mutex_;
  std::optional<engine::LinearizedStart> linearized_ ABSL_GUARDED_BY(linearize_mutex_);
};

}  // namespace polyak::jobs
