#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/errors.h"
#include "server/service/grpc_status.h"
#include "server/service/training_service.h"

namespace polyak::service {
namespace {

constexpr double kTimeoutSecondsMax = 600;

// Finishes when the job has ended, the time is over, the client is gone or the server is about to
// stop.
class WaitReactor : public grpc::ServerUnaryReactor {
 public:
  WaitReactor(jobs::Jobs& jobs, const base::Clock& clock, double timeout_seconds,
              v1::WaitTrainingJobResponse* response)
      : jobs_(jobs),
        clock_(clock),
        deadline_(clock.MonotonicSeconds() + timeout_seconds),
        response_(response) {}

  // To be called once; the wait is over some time after.
  void Begin(const absl::StatusOr<std::shared_ptr<jobs::Job>>& job) {
    uint64_t watcher = 0;
    if (job.ok()) {
      {
        const base::MutexLock lock(&mutex_);
        job_ = *job;
      }
      watcher = jobs_.pulse().Add(*job, [this] { return Look(); });
    }
    // Until begun_ is set nothing is finished, so the reactor is still here.
    const base::MutexLock lock(&mutex_);
    begun_ = true;
    watcher_ = watcher;
    if (!job.ok()) {
      Finish(ToGrpcStatus(job.status()));
    } else if (finished_) {
      Finish(finish_status_);
    }
  }

  void OnCancel() noexcept override {
    const base::MutexLock lock(&mutex_);
    FinishOnce(grpc::Status::CANCELLED);
  }

  void OnDone() noexcept override {
    uint64_t watcher = 0;
    {
      const base::MutexLock lock(&mutex_);
      watcher = watcher_;
    }
    if (watcher != 0) {
      jobs_.pulse().Remove(watcher);  // from here on Look is not called
    }
    delete this;
  }

 private:
  double Look() {
    const base::MutexLock lock(&mutex_);
    const storage::JobSnapshot snapshot = job_->snapshot();
    if (job_->never_was()) {
      FinishOnce(ToGrpcStatus(jobs::JobNotFound(snapshot->name(), false)));
    } else if (snapshot->has_end_time() || clock_.MonotonicSeconds() >= deadline_) {
      if (!finished_) {
        *response_->mutable_training_job() = *jobs_.WithLiveState(snapshot);
      }
      FinishOnce(grpc::Status::OK);
    } else if (jobs_.draining()) {
      FinishOnce(ToGrpcStatus(jobs::Draining()));
    }
    return deadline_;
  }

  void FinishOnce(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(finished_, true)) {
      return;
    }
    finish_status_ = status;
    if (begun_) {
      Finish(status);
    }
  }

  jobs::Jobs& jobs_;
  const base::Clock& clock_;
  const double deadline_;
  v1::WaitTrainingJobResponse* const response_;
  base::Mutex mutex_;
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<jobs::Job> job_ ABSL_GUARDED_BY(mutex_);
  uint64_t watcher_ ABSL_GUARDED_BY(mutex_) = 0;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status finish_status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::ServerUnaryReactor* TrainingService::WaitTrainingJob(
    grpc::CallbackServerContext* context, const v1::WaitTrainingJobRequest* request,
    v1::WaitTrainingJobResponse* response) noexcept {
  double timeout = kTimeoutSecondsMax;
  spec::Violations violations;
  if (request->has_timeout()) {
    timeout = static_cast<double>(request->timeout().seconds()) + 1e-9 * request->timeout().nanos();
    if (!(timeout >= 0 && timeout <= kTimeoutSecondsMax)) {
      violations.Add("timeout", spec::Refusal(absl::StrCat(timeout, " s"), "0 to 600 s"));
    }
  }
  if (!violations.empty()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpcStatus(jobs::InvalidArgument(violations)));
    return reactor;
  }
  auto* const reactor = new WaitReactor(jobs_, clock_, timeout, response);
  jobs_.Find(request->name(), [reactor](const auto& job) { reactor->Begin(job); });
  return reactor;
}

}  // namespace polyak::service
