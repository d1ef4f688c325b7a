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

}  // namespace
}  // namespace polyak::jobs
