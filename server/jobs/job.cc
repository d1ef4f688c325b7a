#include "server/jobs/job.h"

#include <utility>

#include "server/engine/trainer/trainer.h"
#include "server/storage/memory_trace.h"

namespace polyak::jobs {
namespace {

const std::shared_ptr<const storage::TraceReader>& EmptyTrace() {
  static const auto* const kEmpty = new std::shared_ptr<const storage::TraceReader>(
      std::make_shared<const storage::MemoryTrace>(engine::kTraceColumns));
  return *kEmpty;
}

}  // namespace

JobOutline OutlineOf(const v1::TrainingJob& job) {
  const v1::Resolution& resolution = job.resolution();
  const v1::Optimizer& optimizer = job.spec().optimizer();
  JobOutline outline;
  outline.bound.constant = resolution.prediction().constant();
  outline.bound.rate = resolution.prediction().bound_rate();
  outline.bound.on_stacked_norm = optimizer.has_polyak_momentum();
  const double step_size = resolution.step_size();
  const double momentum = resolution.momentum();
  outline.method = optimizer.has_nesterov_momentum()
                       ? engine::LinearMethod{step_size, momentum, 1, momentum}
                       : engine::LinearMethod{step_size, momentum, 0, 1};
  const engine::StoppingRule defaults;
  outline.max_iterations = job.spec().stopping().has_max_iterations()
                               ? job.spec().stopping().max_iterations()
                               : defaults.max_iterations;
  outline.diagnostics_interval = job.spec().diagnostics_interval();
  return outline;
}

Job::Job(storage::JobSnapshot snapshot, std::shared_ptr<const runner::PreparedJob> prepared,
         const spec::NamedDatasets* datasets)
    : outline_(OutlineOf(*snapshot)),
      datasets_(datasets),
      snapshot_(std::move(snapshot)),
      prepared_(std::move(prepared)),
      trace_(EmptyTrace()) {}

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

std::shared_ptr<const storage::TraceReader> Job::reader() const {
  const base::MutexLock lock(&mutex_);
  return trace_;
}

void Job::set_trace(std::shared_ptr<const storage::TraceReader> trace) {
  const base::MutexLock lock(&mutex_);
  trace_ = std::move(trace);
}

std::string Job::pause_reason() const {
  const base::MutexLock lock(&mutex_);
  return pause_reason_;
}

void Job::set_pause_reason(std::string reason) {
  const base::MutexLock lock(&mutex_);
  pause_reason_ = std::move(reason);
}

std::shared_ptr<const engine::LinearizedStart> Job::Linearized() {
  const base::MutexLock lock(&linearize_mutex_);
  if (linearized_ == nullptr) {
    linearized_ = std::make_shared<const engine::LinearizedStart>(
        runner::LinearizeJob(snapshot()->spec(), datasets_, kLinearizedMax));
  }
  return linearized_;
}

}  // namespace polyak::jobs
