#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "server/base/mutex.h"
#include "server/base/stop_token.h"
#include "server/engine/theory/theory.h"
#include "server/runner/prepare.h"
#include "server/storage/job_store.h"
#include "server/storage/trace.h"

namespace polyak::jobs {

// What readers of a job's records need beside them; follows from the stored job alone.
struct JobOutline {
  engine::BoundSpec bound;
  engine::LinearMethod method;
  int64_t max_iterations = 0;
  int64_t diagnostics_interval = 0;  // 0: none
};
// job: with spec and resolution.
JobOutline OutlineOf(const v1::TrainingJob& job);

// One job while the server holds it: its latest snapshot, its trace, and the wish to stop. Shared
// by the worker that runs it and the handlers that read it.
class Job {
 public:
  // prepared: what TakePrepared hands out; null for a job that won't run, or is prepared later.
  //   datasets: as spec::Limits::datasets.
  explicit Job(storage::JobSnapshot snapshot,
               std::shared_ptr<const runner::PreparedJob> prepared = nullptr,
               const spec::NamedDatasets* datasets = nullptr);

  // As it was last made durable.
  storage::JobSnapshot snapshot() const;
  void set_snapshot(storage::JobSnapshot snapshot);
  bool ended() const { return snapshot()->has_end_time(); }

  const JobOutline& outline() const { return outline_; }
  // Data, matrices and start of the run, handed out once, to the worker: they go when it is done.
  std::shared_ptr<const runner::PreparedJob> TakePrepared();
  // The records; an empty trace before the run has begun.
  std::shared_ptr<const storage::TraceReader> reader() const;
  void set_trace(std::shared_ptr<const storage::TraceReader> trace);
  base::StopToken& stop() { return stop_; }
  // An earlier server ran it: there may be records, whether they could be opened yet or not.
  void set_has_run() { has_run_ = true; }
  bool has_run() const { return has_run_; }
  // It could not be stored: whoever has found it by its name is told that there is none.
  void set_never_was() { never_was_ = true; }
  bool never_was() const { return never_was_; }
  // Why the run stands still for now; empty: it does not. Of this process alone, since a full disk
  // would not keep it.
  std::string pause_reason() const;
  void set_pause_reason(std::string reason);

  // The linearised dynamics for the predicted curve, computed from the spec at the first call and
  // kept; not available above kLinearizedMax eigenvalues, which a reader could not afford.
  // May throw std::bad_alloc.  Cost: runner::Prepare and engine::Linearize; not for callback
  // threads.
  std::shared_ptr<const engine::LinearizedStart> Linearized();
  static constexpr int64_t kLinearizedMax = 1'000'000;

  int64_t reserved_bytes = 0;  // of the memory budget; kept by Jobs
  std::string group_key;       // see GroupKey; set before others see the job

 private:
  const JobOutline outline_;
  const spec::NamedDatasets* const datasets_;
  base::StopToken stop_;
  bool has_run_ = false;
  std::atomic<bool> never_was_ = false;
  mutable base::Mutex mutex_;
  storage::JobSnapshot snapshot_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const runner::PreparedJob> prepared_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const storage::TraceReader> trace_ ABSL_GUARDED_BY(mutex_);
  std::string pause_reason_ ABSL_GUARDED_BY(mutex_);
  base::Mutex linearize_mutex_;
  std::shared_ptr<const engine::LinearizedStart> linearized_ ABSL_GUARDED_BY(linearize_mutex_);
};

}  // namespace polyak::jobs
