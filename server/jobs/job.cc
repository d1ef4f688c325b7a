#include "server/jobs/job.h"

#include <utility>

#include "server/engine/trainer/trainer.h"

namespace polyak::jobs {

Job::Job(storage::JobSnapshot snapshot, std::shared_ptr<const runner::PreparedJob> prepared)
    : prepared_(std::move(prepared)),
      trace_(engine::kTraceColumns),
      snapshot_(std::move(snapshot)) {}

storage::JobSnapshot Job::snapshot() const {
  const base::MutexLock lock(&mutex_);
  return snapshot_;
}

void Job::set_snapshot(storage::JobSnapshot snapshot) {
  const base::MutexLock lock(&mutex_);
  snapshot_ = std::move(snapshot);
}

const engine::LinearizedStart& Job::Linearized() {
  const base::MutexLock lock(&linearize_mutex_);
  if (!linearized_.has_value()) {
    linearized_ = engine::Linearize(prepared_->experiment.problem);
  }
  return *linearized_;
}

}  // namespace polyak::jobs
