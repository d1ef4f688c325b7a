#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "server/base/mutex.h"
#include "server/service/grpc_status.h"

namespace polyak::service {

// A stream that is refused: it only finishes. The mutex is for ThreadSanitizer alone
// (docs/decisions/thread-sanitizer.md).
template <typename Message>
class RefusedStream : public grpc::ServerWriteReactor<Message> {
 public:
  explicit RefusedStream(const absl::Status& status) {
    const base::MutexLock lock(&mutex_);
    this->Finish(ToGrpcStatus(status));
  }
  void OnDone() noexcept override {
    { const base::MutexLock lock(&mutex_); }
    delete this;
  }

 private:
  base::Mutex mutex_;
};

}  // namespace polyak::service
