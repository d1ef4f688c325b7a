#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "server/service/grpc_status.h"

namespace polyak::service {

// A stream that is refused: it only finishes.
template <typename Message>
class RefusedStream : public grpc::ServerWriteReactor<Message> {
 public:
  explicit RefusedStream(const absl::Status& status) { this->Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace polyak::service
