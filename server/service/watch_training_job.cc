#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/errors.h"
#include "server/service/grpc_status.h"
#include "server/service/iteration_reader.h"
#include "server/service/read_request.h"
#include "server/service/refused_stream.h"
#include "server/service/training_service.h"

namespace polyak::service {

absl::Status TrainingService::TakeStream() {
  if (jobs_.draining()) {
    return jobs::Draining();
  }
  if (++watchers_ > options_.max_watchers) {
    --watchers_;
    return jobs::ResourceExhausted("TOO_MANY_WATCHERS", "watchers",
                                   absl::StrCat("the server has ", options_.max_watchers,
                                                " open watches, as many as it accepts"),
                                   absl::Seconds(1));
  }
  return absl::OkStatus();
}

namespace {

constexpr double kHeartbeatSeconds = 10;
// About 32 KiB a message at the contract's 36 bytes a record.
constexpr int64_t kBatchRecords = 900;

using Event = v1::WatchTrainingJobResponse;

// One watch: a cursor and one write in flight, no queue. Every callback takes the mutex first, also
// where gRPC's own order of events would do, so that ThreadSanitizer can see it
// (docs/decisions/thread-sanitizer.md).
class WatchReactor : public grpc::ServerWriteReactor<Event> {
 public:
  // Ends when Begin or Refuse has been called, once, and the watch is over.
  WatchReactor(jobs::Jobs& jobs, const base::Clock& clock, std::atomic<int64_t>& watchers)
      : jobs_(jobs), clock_(clock), watchers_(watchers) {}

  void Begin(const ReadRequest& request) {
    {
      const base::MutexLock lock(&mutex_);
      job_ = request.job;
      reader_.emplace(request.job, request.options, request.after_iteration);
      stored_rows_ = job_->reader()->row_count();
      *event_.mutable_snapshot()->mutable_training_job() = *jobs_.WithLiveState(job_->snapshot());
    }
    // Until begun_ is set nothing is written or finished, so the reactor is still here after this.
    const uint64_t watcher = jobs_.pulse().Add(request.job, [this] { return Look(); });
    const base::MutexLock lock(&mutex_);
    begun_ = true;
    watcher_ = watcher;
    if (finished_) {
      Finish(finish_status_);  // the client left meanwhile
    } else {
      Write();
    }
  }

  void Refuse(const absl::Status& status) {
    const base::MutexLock lock(&mutex_);
    begun_ = true;
    finished_ = true;
    Finish(ToGrpcStatus(status));
  }

  void OnWriteDone(bool ok) noexcept override {
    const base::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) {
      FinishOnce(grpc::Status::CANCELLED);
    } else if (terminal_sent_) {
      FinishOnce(grpc::Status::OK);
    } else {
      WriteNext();
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
    --watchers_;
    delete this;
  }

 private:
  // The pulse's call: something moved, or a heartbeat is due.
  double Look() {
    const base::MutexLock lock(&mutex_);
    if (begun_ && !writing_ && !computing_ && !finished_) {
      WriteNext();
    }
    return last_write_ + kHeartbeatSeconds;
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_) {
      return;
    }
    // The state before the rows: a job seen ended has published its last row.
    const storage::JobSnapshot snapshot = job_->snapshot();
    const bool ended = snapshot->has_end_time();
    if (job_->never_was()) {
      FinishOnce(ToGrpcStatus(jobs::JobNotFound(snapshot->name(), false)));
    } else if (jobs_.draining() && !ended) {
      FinishOnce(ToGrpcStatus(jobs::Draining()));
    } else if (!caught_up_sent_ && !reader_->HasMoreBelow(stored_rows_, ended)) {
      caught_up_sent_ = true;
      event_.mutable_caught_up()->set_iteration(reader_->cursor());
      Write();
    } else if (reader_->HasMore(ended)) {
      WriteRecords(ended);
    } else if (ended) {
      terminal_sent_ = true;
      *event_.mutable_terminal()->mutable_training_job() = *snapshot;
      Write();
    } else if (clock_.MonotonicSeconds() >= last_write_ + kHeartbeatSeconds) {
      event_.mutable_heartbeat()->set_iteration(reader_->cursor());
      event_.mutable_heartbeat()->set_state(snapshot->state());
      event_.mutable_heartbeat()->set_jobs_ahead(jobs_.WithLiveState(snapshot)->jobs_ahead());
      Write();
    }
  }

  void WriteRecords(bool ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (reader_->quick()) {
      Send(reader_->Next(kBatchRecords, ended, *event_.mutable_iterations()).status());
      return;
    }
    // A computation, or a disk: not for this thread. The reactor stays alive until FinishOnce,
    // which waits for it.
    computing_ = true;
    reader_->Defer(jobs_, [this, ended] {
      v1::IterationBatch batch;
      const absl::Status status = ReadSlowly(ended, batch);
      const base::MutexLock lock(&mutex_);
      computing_ = false;
      if (finish_after_compute_) {
        return Finish(finish_status_);
      }
      event_.mutable_iterations()->Swap(&batch);
      Send(status);
    });
  }

  // While computing_ is set the reader is this call's alone: the pulse and gRPC's threads must not
  // wait for it.
  absl::Status ReadSlowly(bool ended, v1::IterationBatch& batch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return reader_->Next(kBatchRecords, ended, batch).status();
  }

  void Send(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    status.ok() ? Write() : FinishOnce(ToGrpcStatus(jobs::WithDetails(status)));
  }

  void Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    last_write_ = clock_.MonotonicSeconds();
    StartWrite(&event_);
  }

  void FinishOnce(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(finished_, true)) {
      return;
    }
    finish_after_compute_ = computing_;
    finish_status_ = status;
    if (begun_ && !computing_) {
      Finish(status);
    }
  }

  jobs::Jobs& jobs_;
  const base::Clock& clock_;
  std::atomic<int64_t>& watchers_;

  base::Mutex mutex_;
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<jobs::Job> job_ ABSL_GUARDED_BY(mutex_);
  uint64_t watcher_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<IterationReader> reader_ ABSL_GUARDED_BY(mutex_);
  Event event_ ABSL_GUARDED_BY(mutex_);
  int64_t stored_rows_ ABSL_GUARDED_BY(mutex_) = 0;  // when the watch began
  double last_write_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool computing_ ABSL_GUARDED_BY(mutex_) = false;
  bool caught_up_sent_ ABSL_GUARDED_BY(mutex_) = false;
  bool terminal_sent_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool finish_after_compute_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status finish_status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::ServerWriteReactor<Event>* TrainingService::WatchTrainingJob(
    grpc::CallbackServerContext* /*context*/, const v1::WatchTrainingJobRequest* request) noexcept {
  if (absl::Status status = TakeStream(); !status.ok()) {
    return new RefusedStream<Event>(status);
  }
  auto* const reactor = new WatchReactor(jobs_, clock_, watchers_);
  ParseReadRequest(jobs_, *request, [reactor](const auto& read) {
    read.ok() ? reactor->Begin(*read) : reactor->Refuse(read.status());
  });
  return reactor;
}

}  // namespace polyak::service
