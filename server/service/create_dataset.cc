#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/jobs/errors.h"
#include "server/service/dataset_service.h"
#include "server/service/grpc_status.h"

namespace polyak::service {
namespace {

using Request = v1::CreateDatasetRequest;

constexpr int kOpenMax = 64;  // streams, those that have not sent a header included

absl::Status WrongPart(const char* expected) {
  spec::Violations violations;
  violations.Add("part", spec::Refusal("not the one that comes next", expected));
  return jobs::InvalidArgument(violations);
}

// One data set on its way in: a message in memory, read and written to the disk in turn. Each step
// takes the mutex, also where gRPC's own order of events would do, so that ThreadSanitizer can see
// it (docs/decisions/thread-sanitizer.md).
class UploadReactor : public grpc::ServerReadReactor<Request> {
 public:
  UploadReactor(jobs::Datasets& datasets, const jobs::Jobs& jobs,
                grpc::CallbackServerContext* context, v1::CreateDatasetResponse* response,
                std::atomic<int>& open)
      : datasets_(datasets), jobs_(jobs), context_(context), response_(response), open_(open) {
    const base::MutexLock lock(&mutex_);
    if (++open_ > kOpenMax) {
      Finish(ToGrpcStatus(jobs::ResourceExhausted(
          "TOO_MANY_UPLOADS", "uploads",
          absl::StrCat(kOpenMax, " data sets are being sent at this moment"), absl::Seconds(5))));
    } else {
      StartRead(&request_);
    }
  }

  void OnReadDone(bool ok) noexcept override {
    { const base::MutexLock lock(&mutex_); }  // whoever called StartRead has let go
    // The reactor stays: nothing finishes it before the task does.
    datasets_.Run([this, ok] {
      const base::MutexLock lock(&mutex_);
      const absl::Status status = ok ? Take() : Store();
      if (!status.ok()) {
        upload_ = nullptr;  // its room is free before the client knows
        Finish(ToGrpcStatus(status));
      } else if (response_->has_dataset()) {
        upload_ = nullptr;
        Finish(grpc::Status::OK);
      } else {
        StartRead(&request_);
      }
    });
  }

  void OnDone() noexcept override {
    { const base::MutexLock lock(&mutex_); }  // whoever called Finish has let go
    --open_;
    delete this;
  }

 private:
  absl::Status Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (jobs_.draining()) {
      return jobs::Draining();
    }
    if (upload_ != nullptr) {
      return request_.has_chunk() ? upload_->Add(request_.chunk()) : WrongPart("a chunk");
    }
    if (!request_.has_header()) {
      return WrongPart("the header, first");
    }
    POLYAK_ASSIGN_OR_RETURN(auto same, datasets_.FindAnnounced(request_.header()));
    if (same.has_value()) {
      *response_->mutable_dataset() = *std::move(same);
      return absl::OkStatus();
    }
    auto upload =
        datasets_.Begin(request_.header(), [context = context_] { context->TryCancel(); });
    if (!upload.ok()) {
      return upload.status();
    }
    upload_ = *std::move(upload);
    return absl::OkStatus();
  }

  // The client has sent all, or is gone.
  absl::Status Store() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (upload_ == nullptr) {
      return WrongPart("the header, first");
    }
    auto stored = upload_->Finish();
    if (!stored.ok()) {
      return stored.status();
    }
    *response_->mutable_dataset() = *std::move(stored);
    return absl::OkStatus();
  }

  jobs::Datasets& datasets_;
  const jobs::Jobs& jobs_;
  grpc::CallbackServerContext* const context_;  // lives as long as this
  base::Mutex mutex_;
  v1::CreateDatasetResponse* const response_ ABSL_PT_GUARDED_BY(mutex_);
  std::atomic<int>& open_;
  Request request_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<jobs::DatasetUpload> upload_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::ServerReadReactor<Request>* DatasetService::CreateDataset(
    grpc::CallbackServerContext* context, v1::CreateDatasetResponse* response) noexcept {
  return new UploadReactor(datasets_, jobs_, context, response, open_);
}

}  // namespace polyak::service
