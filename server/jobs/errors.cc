#include "server/jobs/errors.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace polyak::jobs {
namespace {

// Collects details; every error has exactly one ErrorInfo.
class Builder {
 public:
  Builder(absl::StatusCode code, const std::string& reason, const std::string& message)
      : code_(code) {
    status_.set_code(static_cast<int>(code));
    status_.set_message(message);
    info_.set_domain("polyak.v1");
    info_.set_reason(reason);
  }

  Builder& Metadata(const std::string& key, const std::string& value) {
    (*info_.mutable_metadata())[key] = value;
    return *this;
  }

  Builder& Detail(const google::protobuf::Message& detail) {
    status_.add_details()->PackFrom(detail);
    return *this;
  }

  Builder& RetryAfter(absl::Duration pause) {
    google::rpc::RetryInfo retry;
    const int64_t milliseconds = absl::ToInt64Milliseconds(pause);
    retry.mutable_retry_delay()->set_seconds(milliseconds / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(milliseconds % 1000) * 1'000'000);
    return Detail(retry);
  }

  absl::Status Build() {
    Detail(info_);
    absl::Status result(code_, status_.message());
    result.SetPayload(kDetailsUrl, absl::Cord(status_.SerializeAsString()));
    return result;
  }

 private:
  absl::StatusCode code_;
  google::rpc::Status status_;
  google::rpc::ErrorInfo info_;
};

}  // namespace

absl::Status InvalidArgument(const spec::Violations& violations) {
  google::rpc::BadRequest bad_request;
  for (const spec::Violation& violation : violations.kept()) {
    auto& field = *bad_request.add_field_violations();
    field.set_field(violation.field);
    field.set_description(violation.description);
  }
  std::string message =
      violations.count() == 1
          ? "1 field of the request is refused"
          : absl::StrCat(violations.count(), " fields of the request are refused");
  const int64_t rest = violations.count() - static_cast<int64_t>(violations.kept().size());
  if (rest > 0) {
    absl::StrAppend(&message, "; the first ", violations.kept().size(), " are listed");
  }
  return Builder(absl::StatusCode::kInvalidArgument, "INVALID_FIELDS", message)
      .Metadata("violation_count", absl::StrCat(violations.count()))
      .Detail(bad_request)
      .Build();
}

absl::Status JobNotFound(const std::string& name, bool expired) {
  google::rpc::ResourceInfo resource;
  resource.set_resource_type("polyak.v1.TrainingJob");
  resource.set_resource_name(name);
  return Builder(absl::StatusCode::kNotFound, expired ? "JOB_EXPIRED" : "JOB_NOT_FOUND",
                 absl::StrCat(name, expired ? " was deleted or has aged out"
                                            : " is not known to this server"))
      .Metadata("name", name)
      .Detail(resource)
      .Build();
}

absl::Status DatasetNotFound(const std::string& name) {
  google::rpc::ResourceInfo resource;
  resource.set_resource_type("polyak.v1.StoredDataset");
  resource.set_resource_name(name);
  return Builder(absl::StatusCode::kNotFound, "DATASET_NOT_FOUND",
                 absl::StrCat(name, " is not known to this server"))
      .Metadata("name", name)
      .Detail(resource)
      .Build();
}

absl::Status AlreadyExists(const std::string& reason, const std::string& message) {
  return Builder(absl::StatusCode::kAlreadyExists, reason, message).Build();
}

absl::Status FailedPrecondition(const std::string& reason, const std::string& subject,
                                const std::string& message) {
  google::rpc::PreconditionFailure failure;
  auto& violation = *failure.add_violations();
  violation.set_type(reason);
  violation.set_subject(subject);
  violation.set_description(message);
  return Builder(absl::StatusCode::kFailedPrecondition, reason, message).Detail(failure).Build();
}

absl::Status OutOfRange(const std::string& message,
                        const std::map<std::string, std::string>& metadata) {
  Builder builder(absl::StatusCode::kOutOfRange, "CURSOR_BEYOND_END", message);
  for (const auto& [key, value] : metadata) {
    builder.Metadata(key, value);
  }
  return builder.Build();
}

absl::Status ResourceExhausted(const std::string& reason, const std::string& subject,
                               const std::string& message, absl::Duration retry_after) {
  google::rpc::QuotaFailure failure;
  auto& violation = *failure.add_violations();
  violation.set_subject(subject);
  violation.set_description(message);
  return Builder(absl::StatusCode::kResourceExhausted, reason, message)
      .Detail(failure)
      .RetryAfter(retry_after)
      .Build();
}

absl::Status Draining() {
  return Builder(absl::StatusCode::kUnavailable, "SERVER_DRAINING", "the server is about to stop")
      .RetryAfter(absl::Seconds(1))
      .Build();
}

absl::Status WithDetails(const absl::Status& status) {
  if (status.ok() || status.GetPayload(kDetailsUrl).has_value()) {
    return status;
  }
  const std::string message{status.message()};
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return ResourceExhausted("DISK_FULL", "disk", absl::StrCat("the disk is full: ", message),
                               absl::Seconds(5));
    case absl::StatusCode::kUnavailable:
      return Builder(status.code(), "STORE_UNAVAILABLE", message)
          .RetryAfter(absl::Seconds(1))
          .Build();
    case absl::StatusCode::kDataLoss:
      return Builder(status.code(), "DATA_DAMAGED", message).Build();
    default:
      return Builder(status.code(), "STORE_ERROR", message).Build();
  }
}

}  // namespace polyak::jobs
