#include "server/storage/job_store_rules.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

namespace polyak::storage {

int64_t EndMicros(const v1::TrainingJob& job) {
  if (!job.has_end_time()) {
    return 0;
  }
  return std::max(
      int64_t{1},
      int64_t{google::protobuf::util::TimeUtil::TimestampToMicroseconds(job.end_time())});
}

absl::Status NameTaken(const std::string& name) {
  return absl::AlreadyExistsError(
      absl::StrCat("the id of ", name, " is taken; accepted: an unused id"));
}

absl::Status RequestIdTaken(const std::string& request_id) {
  return absl::AlreadyExistsError(
      absl::StrCat("request_id '", request_id, "' was used at the same moment"));
}

absl::Status RequestIdReused(const std::string& request_id, const std::string& name_made) {
  return absl::AlreadyExistsError(absl::StrCat("request_id '", request_id,
                                               "' was used for another request, which made ",
                                               name_made, "; accepted: an unused request_id"));
}

absl::Status RequestJobRemoved(const std::string& request_id, const std::string& name_made) {
  return absl::AlreadyExistsError(absl::StrCat("request_id '", request_id, "' made ", name_made,
                                               ", which was deleted; accepted: an unused one"));
}

std::string NamedDataset(const v1::TrainingJobSpec& spec) {
  switch (spec.problem_case()) {
    case v1::TrainingJobSpec::kQuadratic:
      return spec.quadratic().least_squares().dataset().name();
    case v1::TrainingJobSpec::kReluNetwork:
      return spec.relu_network().dataset().name();
    case v1::TrainingJobSpec::kDeepLinearNetwork:
      return spec.deep_linear_network().dataset().name();
    case v1::TrainingJobSpec::PROBLEM_NOT_SET:
      break;
  }
  return "";
}

absl::Status NoJob(bool has_tombstone) {
  return absl::NotFoundError(has_tombstone ? "expired" : "unknown");
}

}  // namespace polyak::storage
