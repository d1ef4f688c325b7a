#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace polyak::service {

// The one place where an error becomes a gRPC status: same code, same message, details
// (google.rpc.Status) in the trailer.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace polyak::service
