#include "client/cli/exit_code.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

v1::TrainingJob Ended(v1::TrainingJob::State state, v1::Termination::Reason reason) {
  v1::TrainingJob job;
  job.set_state(state);
  job.mutable_termination()->set_reason(reason);
  return job;
}

TEST(ExitCode, AreTheNumbersThatScriptsRelyOn) {
  EXPECT_EQ(kSucceeded, 0);
  EXPECT_EQ(kError, 1);
  EXPECT_EQ(kUsage, 2);
  EXPECT_EQ(kNotFound, 3);
  EXPECT_EQ(kAuthentication, 4);
  EXPECT_EQ(kUnreachable, 5);
  EXPECT_EQ(kDiverged, 6);
  EXPECT_EQ(kCancelled, 7);
  EXPECT_EQ(kToleranceMissed, 8);
  EXPECT_EQ(kWaitTimedOut, 124);
  EXPECT_EQ(kInterrupted, 130);
}

TEST(ExitCode, FollowsTheStatusOfACall) {
  const std::map<absl::StatusCode, ExitCode> other = {
      {absl::StatusCode::kOk, kSucceeded},
      {absl::StatusCode::kCancelled, kInterrupted},
      {absl::StatusCode::kNotFound, kNotFound},
      {absl::StatusCode::kPermissionDenied, kAuthentication},
      {absl::StatusCode::kUnauthenticated, kAuthentication},
      {absl::StatusCode::kDeadlineExceeded, kUnreachable},
      {absl::StatusCode::kUnavailable, kUnreachable}};
  for (int number = 0; number <= 16; ++number) {
    const auto code = static_cast<absl::StatusCode>(number);
    const auto expected = other.find(code);
    EXPECT_EQ(ExitCodeOf(absl::Status(code, "")),
              expected == other.end() ? kError : expected->second)
        << absl::StatusCodeToString(code);
  }
}

TEST(ExitCode, FollowsTheOutcomeOfAJob) {
  EXPECT_EQ(ExitCodeOf(Ended(v1::TrainingJob::STATE_SUCCEEDED, v1::Termination::REASON_CONVERGED)),
            kSucceeded);
  EXPECT_EQ(ExitCodeOf(Ended(v1::TrainingJob::STATE_SUCCEEDED, v1::Termination::REASON_DIVERGED)),
            kDiverged);
  EXPECT_EQ(ExitCodeOf(Ended(v1::TrainingJob::STATE_CANCELLED, v1::Termination::REASON_CANCELLED)),
            kCancelled);
  EXPECT_EQ(ExitCodeOf(Ended(v1::TrainingJob::STATE_FAILED, v1::Termination::REASON_UNSPECIFIED)),
            kError);
}

TEST(ExitCode, AMissedToleranceIsOneOnlyIfItWasAskedFor) {
  for (const auto reason :
       {v1::Termination::REASON_MAX_ITERATIONS, v1::Termination::REASON_TIME_LIMIT}) {
    v1::TrainingJob job = Ended(v1::TrainingJob::STATE_SUCCEEDED, reason);
    EXPECT_EQ(ExitCodeOf(job), kSucceeded);
    job.mutable_spec()->mutable_stopping()->set_relative_loss(1e-8);
    EXPECT_EQ(ExitCodeOf(job), kToleranceMissed);
  }
}

TEST(ExitCode, AJobThatGoesOnIsNoFailure) {
  v1::TrainingJob job;
  job.mutable_spec()->mutable_stopping()->set_relative_loss(1e-8);
  for (const auto state : {v1::TrainingJob::STATE_QUEUED, v1::TrainingJob::STATE_RUNNING}) {
    job.set_state(state);
    EXPECT_EQ(ExitCodeOf(job), kSucceeded);
  }
}

TEST(ExitCode, TheHelpListsEveryCode) {
  const std::string help = ExitCodeHelp();
  for (const int code : {0, 1, 2, 3, 4, 5, 6, 7, 8, 124, 130}) {
    EXPECT_THAT(help, ::testing::HasSubstr(absl::StrCat(" ", code, "  ")));
  }
}

}  // namespace
}  // namespace polyak::cli
