#include "server/jobs/errors.h"

#include <string>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace polyak::jobs {
namespace {

using ::testing::HasSubstr;

template <typename Detail>
std::vector<Detail> Details(const absl::Status& status) {
  google::rpc::Status message;
  EXPECT_TRUE(message.ParseFromString(std::string{status.GetPayload(kDetailsUrl).value()}));
  std::vector<Detail> found;
  for (const auto& any : message.details()) {
    Detail detail;
    if (any.UnpackTo(&detail)) {
      found.push_back(detail);
    }
  }
  return found;
}

TEST(Errors, EachHasOneErrorInfoOfOurDomain) {
  spec::Violations violations;
  violations.Add("spec", "is empty; accepted: a problem");
  for (const absl::Status& status :
       {InvalidArgument(violations), JobNotFound("trainingJobs/a", true),
        AlreadyExists("ID_TAKEN", "taken"), FailedPrecondition("JOB_ACTIVE", "a", "active"),
        OutOfRange("beyond", {{"end", "3"}}),
        ResourceExhausted("QUEUE_FULL", "queue", "full", absl::Seconds(1)), Draining()}) {
    const auto infos = Details<google::rpc::ErrorInfo>(status);
    ASSERT_EQ(infos.size(), 1u) << status;
    EXPECT_EQ(infos[0].domain(), "polyak.v1");
    EXPECT_NE(infos[0].reason(), "");
  }
}

TEST(Errors, InvalidArgumentListsFiftyViolationsAndCountsTheRest) {
  spec::Violations violations;
  for (int k = 0; k < 73; ++k) {
    violations.Add("spec.field", "is bad; accepted: better");
  }
  const absl::Status status = InvalidArgument(violations);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("73 fields"));
  ASSERT_EQ(Details<google::rpc::BadRequest>(status).size(), 1u);
  EXPECT_EQ(Details<google::rpc::BadRequest>(status)[0].field_violations_size(), 50);
  EXPECT_EQ(Details<google::rpc::ErrorInfo>(status)[0].metadata().at("violation_count"), "73");
}

TEST(Errors, WhatALaterTryCanHelpSaysWhen) {
  const auto retries = Details<google::rpc::RetryInfo>(
      ResourceExhausted("QUEUE_FULL", "queue", "full", absl::Milliseconds(1500)));
  ASSERT_EQ(retries.size(), 1u);
  EXPECT_EQ(retries[0].retry_delay().seconds(), 1);
  EXPECT_EQ(retries[0].retry_delay().nanos(), 500'000'000);
  EXPECT_EQ(Details<google::rpc::RetryInfo>(Draining()).size(), 1u);
  EXPECT_EQ(Details<google::rpc::RetryInfo>(AlreadyExists("ID_TAKEN", "taken")).size(), 0u);
}

TEST(Errors, ADeletedJobIsToldFromAnUnknownOne) {
  EXPECT_EQ(Details<google::rpc::ErrorInfo>(JobNotFound("trainingJobs/a", true))[0].reason(),
            "JOB_EXPIRED");
  EXPECT_EQ(Details<google::rpc::ErrorInfo>(JobNotFound("trainingJobs/a", false))[0].reason(),
            "JOB_NOT_FOUND");
}

TEST(WithDetails, ErrorsOfTheStoresSayWhetherALaterTryCanHelp) {
  const absl::Status full = WithDetails(absl::ResourceExhaustedError("write x: no space"));
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Details<google::rpc::ErrorInfo>(full).at(0).reason(), "DISK_FULL");
  EXPECT_EQ(Details<google::rpc::RetryInfo>(full).size(), 1u);
  EXPECT_THAT(std::string{full.message()}, HasSubstr("the disk is full: write x"));
  const absl::Status broken = WithDetails(absl::UnavailableError("broken"));
  EXPECT_EQ(Details<google::rpc::ErrorInfo>(broken).at(0).reason(), "STORE_UNAVAILABLE");
  EXPECT_EQ(Details<google::rpc::RetryInfo>(broken).size(), 1u);
  const absl::Status damaged = WithDetails(absl::DataLossError("block 3"));
  EXPECT_EQ(Details<google::rpc::ErrorInfo>(damaged).at(0).reason(), "DATA_DAMAGED");
  EXPECT_TRUE(Details<google::rpc::RetryInfo>(damaged).empty());
  EXPECT_EQ(
      Details<google::rpc::ErrorInfo>(WithDetails(absl::PermissionDeniedError("x"))).at(0).reason(),
      "STORE_ERROR");
}

TEST(WithDetails, WhatHasDetailsKeepsThem) {
  EXPECT_EQ(Details<google::rpc::ErrorInfo>(WithDetails(Draining())).at(0).reason(),
            "SERVER_DRAINING");
  EXPECT_TRUE(WithDetails(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace polyak::jobs
