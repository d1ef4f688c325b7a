#include "server/service/grpc_status.h"

#include <string>

#include "absl/strings/cord.h"
#include "server/jobs/errors.h"

namespace polyak::service {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) {
    return grpc::Status::OK;
  }
  const auto details = status.GetPayload(jobs::kDetailsUrl);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string{status.message()},
                      details.has_value() ? std::string{*details} : "");
}

}  // namespace polyak::service
