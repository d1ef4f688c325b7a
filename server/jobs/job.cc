#include "server/jobs/job.h"

#include <utility>

#include "server/engine/trainer/trainer.h"

namespace polyak::jobs {

JobOutline OutlineOf(const runner::PreparedJob& prepared) {
  return {prepared.theory.bound, prepared.theory.method, prepared.spec.stopping.max_iterations};
}

Job::Job(storage::JobSnapshot snapshot, const JobOutline& outline,
         std::shared_ptr<const runner::PreparedJob> prepared)
    : outline_(outline),
      trace_(engine::kTraceColumns),
      snapshot_(std::move(snapshot)),
      prepared_(std::move(prepared)) {}

storage::JobSnapshot Job::snapshot() const {
  const base::MutexLock lock(&mutex_);
  return snapshot_;
}

void Job::set_snapshot(storage::JobSnapshot snapshot) {
  const base::MutexLock lock(&mutex_);
  snapshot_ = std::move(snapshot);
}

std::shared_ptr<const runner::PreparedJob> Job::TakePrepared() {
  const base::MutexLock lock(&mutex_);
  return std::exchange(prepared_, nullptr);
}

std::shared_ptr<const engine::LinearizedStart> Job::Linearized() {
  const base::MutexLock lock(&linearize_mutex_);
  if (linearized_ == nullptr) {
    linearized_ = std::make_shared<const engine::LinearizedStart>(
        runner::LinearizeJob(snapshot()->spec(), kLinearizedMax));
  }
  return linearized_;
}

}  // namespace polyak::jobs
