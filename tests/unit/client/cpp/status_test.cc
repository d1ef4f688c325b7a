#include "client/cpp/status.h"

#include <string>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace polyak::client {
namespace {

// A status as a server sends it, with these details.
template <typename... Details>
grpc::Status Answer(grpc::StatusCode code, const std::string& message, const Details&... details) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  (status.add_details()->PackFrom(details), ...);
  return grpc::Status(code, message, status.SerializeAsString());
}

google::rpc::BadRequest TwoViolations() {
  google::rpc::BadRequest bad_request;
  auto& first = *bad_request.add_field_violations();
  first.set_field("spec.optimizer.polyak_momentum.momentum");
  first.set_description("is 1.5; accepted: [0, 1)");
  auto& second = *bad_request.add_field_violations();
  second.set_field("spec.stopping.relative_loss");
  second.set_description("is 2; accepted: (0, 1)");
  return bad_request;
}

TEST(ClientStatus, KeepsCodeAndMessage) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status =
        ToAbslStatus(grpc::Status(static_cast<grpc::StatusCode>(code), "what happened"));
    EXPECT_EQ(static_cast<int>(status.code()), code);
    EXPECT_EQ(status.message(), code == 0 ? "" : "what happened");
  }
}

TEST(ClientStatus, ListsTheRefusedFieldsInTheServersOrder) {
  const absl::Status status =
      ToAbslStatus(Answer(grpc::StatusCode::INVALID_ARGUMENT, "the spec is refused",
                          google::rpc::ErrorInfo(), TwoViolations()));
  const auto violations = FieldViolations(status);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].field, "spec.optimizer.polyak_momentum.momentum");
  EXPECT_EQ(violations[0].description, "is 1.5; accepted: [0, 1)");
  EXPECT_EQ(violations[1].field, "spec.stopping.relative_loss");
}

TEST(ClientStatus, ExplainsEachRefusedFieldOnItsOwnLine) {
  const absl::Status status = ToAbslStatus(
      Answer(grpc::StatusCode::INVALID_ARGUMENT, "the spec is refused", TwoViolations()));
  EXPECT_EQ(Explain(status),
            "the spec is refused\n"
            "  spec.optimizer.polyak_momentum.momentum: is 1.5; accepted: [0, 1)\n"
            "  spec.stopping.relative_loss: is 2; accepted: (0, 1)");
  EXPECT_EQ(Explain(absl::NotFoundError("no such job")), "no such job");
}

TEST(ClientStatus, ReadsTheDelayToTheNanosecond) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(3);
  retry.mutable_retry_delay()->set_nanos(250'000'001);
  const absl::Status status =
      ToAbslStatus(Answer(grpc::StatusCode::RESOURCE_EXHAUSTED, "later", retry));
  EXPECT_EQ(RetryDelay(status), absl::Seconds(3) + absl::Nanoseconds(250'000'001));
}

TEST(ClientStatus, ReadsTheStableReason) {
  google::rpc::ErrorInfo info;
  info.set_reason("JOB_EXPIRED");
  EXPECT_EQ(ErrorReason(ToAbslStatus(Answer(grpc::StatusCode::NOT_FOUND, "gone", info))),
            "JOB_EXPIRED");
}

TEST(ClientStatus, WithoutDetailsThereAreNone) {
  for (const absl::Status& status :
       {absl::OkStatus(), absl::UnavailableError("no connection"),
        ToAbslStatus(grpc::Status(grpc::StatusCode::INTERNAL, "odd", "\xff\xff not a message"))}) {
    EXPECT_THAT(FieldViolations(status), ::testing::IsEmpty());
    EXPECT_EQ(RetryDelay(status), std::nullopt);
    EXPECT_EQ(ErrorReason(status), "");
  }
}

}  // namespace
}  // namespace polyak::client
