#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/errors.h"
#include "server/service/grpc_status.h"
#include "server/service/refused_stream.h"
#include "server/service/training_service.h"

namespace polyak::service {
namespace {

constexpr int64_t kBlockValues = 32'768;  // 256 KiB a message

using Block = v1::ReadParametersResponse;

// One read of a final iterate: a file, a block in memory, and one write in flight. Reading and
// writing alternate; each takes the mutex, also where gRPC's own order of events would do, so that
// ThreadSanitizer can see it (docs/decisions/thread-sanitizer.md).
class ParametersReactor : public grpc::ServerWriteReactor<Block> {
 public:
  // Ends when Begin has been called, once, and all is read or the client gone.
  ParametersReactor(jobs::Jobs& jobs, std::atomic<int64_t>& watchers)
      : jobs_(jobs), watchers_(watchers) {}

  void Begin(absl::StatusOr<runner::FinalParameters> parameters, int64_t dimension_max) {
    const base::MutexLock lock(&mutex_);
    if (!parameters.ok()) {
      return End(ToGrpcStatus(parameters.status()));
    }
    if (parameters->dimension > dimension_max) {
      return End(ToGrpcStatus(
          jobs::FailedPrecondition("TOO_MANY_PARAMETERS", "parameters",
                                   absl::StrCat("the job has ", parameters->dimension,
                                                " parameters; accepted: up to ", dimension_max))));
    }
    parameters_ = *std::move(parameters);
    for (const engine::ParameterMatrix& matrix : parameters_.matrices) {
      auto& described = *block_.add_matrices();
      described.set_name(matrix.name);
      described.set_rows(matrix.rows);
      described.set_cols(matrix.cols);
    }
    WriteBlock();
  }

  void OnWriteDone(bool ok) noexcept override {
    const base::MutexLock lock(&mutex_);
    if (!ok) {
      return End(grpc::Status::CANCELLED);
    }
    if (given_ == parameters_.dimension) {
      return End(grpc::Status::OK);
    }
    if (jobs_.draining()) {
      return End(ToGrpcStatus(jobs::Draining()));
    }
    block_.Clear();
    // The reactor stays: nothing finishes it before the block is written.
    jobs_.ReadDisk([this] {
      const base::MutexLock reading(&mutex_);
      WriteBlock();
    });
  }

  void OnDone() noexcept override {
    { const base::MutexLock lock(&mutex_); }  // whoever called Finish has let go
    delete this;
  }

 private:
  // The place goes first, so that a client that is told finds it free.
  void End(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    --watchers_;
    Finish(status);
  }

  void WriteBlock() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const int64_t count = std::min(kBlockValues, parameters_.dimension - given_);
    block_.set_iteration(parameters_.iteration);
    block_.set_first_value(given_);
    block_.mutable_values()->Reserve(static_cast<int>(count));
    for (int64_t k = 0; k < count; ++k) {
      block_.add_values(parameters_.values->ReadDouble());
    }
    const bool last = given_ + count == parameters_.dimension;
    if (const absl::Status status = last ? parameters_.CheckAll() : parameters_.values->status();
        !status.ok()) {
      return End(ToGrpcStatus(jobs::WithDetails(status)));
    }
    given_ += count;
    StartWrite(&block_);
  }

  jobs::Jobs& jobs_;
  std::atomic<int64_t>& watchers_;
  base::Mutex mutex_;
  runner::FinalParameters parameters_ ABSL_GUARDED_BY(mutex_);
  int64_t given_ ABSL_GUARDED_BY(mutex_) = 0;  // values in the blocks so far
  Block block_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::ServerWriteReactor<Block>* TrainingService::ReadParameters(
    grpc::CallbackServerContext* /*context*/, const v1::ReadParametersRequest* request) noexcept {
  if (absl::Status status = TakeStream(); !status.ok()) {
    return new RefusedStream<Block>(status);
  }
  auto* const reactor = new ParametersReactor(jobs_, watchers_);
  jobs_.OpenParameters(request->name(), options_.max_read_parameters,
                       [this, reactor](auto parameters) {
                         reactor->Begin(std::move(parameters), options_.max_read_parameters);
                       });
  return reactor;
}

}  // namespace polyak::service
