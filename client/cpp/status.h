#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"

namespace polyak::client {

// One refused field of a request.
struct FieldViolation {
  std::string field;        // "spec.optimizer.polyak_momentum.momentum"
  std::string description;  // what came and what is accepted
};

// A gRPC status as an absl::Status of the same code and message, its details (google.rpc.Status)
// kept as a payload for the functions below.
absl::Status ToAbslStatus(const grpc::Status& status);

// The fields the server refused, in its order; empty for errors of another kind.
std::vector<FieldViolation> FieldViolations(const absl::Status& status);

// When the server says that a later try can help: how much later.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

// The server's stable reason ("JOB_EXPIRED"), or empty: no server has said this, as where none can
// be reached.
std::string ErrorReason(const absl::Status& status);

// For a person: the message, then one line a refused field.
std::string Explain(const absl::Status& status);

}  // namespace polyak::client
