#include "client/cli/exit_code.h"

namespace polyak::cli {

const char* ExitCodeHelp() {
  return "Exit codes:\n"
         "    0  the job succeeded, or the command did what it was asked\n"
         "    1  error: a failed job, a refused request\n"
         "    2  usage: unknown flag, missing argument, unreadable file\n"
         "    3  no such job\n"
         "    4  authentication\n"
         "    5  the server can't be reached, or can't answer for now\n"
         "    6  the job diverged\n"
         "    7  the job was cancelled\n"
         "    8  the job ended before the tolerance it was asked for\n"
         "  124  wait timed out\n"
         "  130  interrupted; the job goes on\n";
}

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kSucceeded;
    case absl::StatusCode::kNotFound:
      return kNotFound;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return kAuthentication;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kUnreachable;
    case absl::StatusCode::kCancelled:
      return kInterrupted;
    default:
      return kError;
  }
}

ExitCode ExitCodeOf(const v1::TrainingJob& job) {
  switch (job.state()) {
    case v1::TrainingJob::STATE_FAILED:
      return kError;
    case v1::TrainingJob::STATE_CANCELLED:
      return kCancelled;
    case v1::TrainingJob::STATE_SUCCEEDED:
      break;
    default:
      return kSucceeded;
  }
  switch (job.termination().reason()) {
    case v1::Termination::REASON_DIVERGED:
      return kDiverged;
    case v1::Termination::REASON_CONVERGED:
      return kSucceeded;
    default:
      return job.spec().stopping().has_relative_loss() ? kToleranceMissed : kSucceeded;
  }
}

}  // namespace polyak::cli
