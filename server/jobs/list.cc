#include <charconv>
#include <functional>
#include <string>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/jobs/errors.h"
#include "server/jobs/jobs.h"
#include "server/spec/parse_filter.h"

namespace polyak::jobs {
namespace {

constexpr int32_t kPageSizeDefault = 50;
constexpr int32_t kPageSizeMax = 1000;

void ClearMatrices(v1::TrainingJobSpec& spec) {
  if (spec.has_quadratic()) {
    if (spec.quadratic().has_matrix()) {
      spec.mutable_quadratic()->mutable_matrix()->clear_values();
    }
    if (spec.quadratic().spectrum().has_explicit_()) {
      spec.mutable_quadratic()->mutable_spectrum()->mutable_explicit_()->clear_eigenvalues();
    }
    spec.mutable_quadratic()->clear_linear_term();
    spec.mutable_quadratic()->clear_initial_point();
  } else if (spec.has_relu_network()) {
    spec.mutable_relu_network()->clear_initial_hidden_weights();
    spec.mutable_relu_network()->clear_output_weights();
  } else if (spec.has_deep_linear_network()) {
    spec.mutable_deep_linear_network()->clear_initial_weights();
  }
  const auto clear_inline = [](v1::Dataset* dataset) {
    if (dataset->has_inline_()) {
      dataset->mutable_inline_()->mutable_features()->clear_values();
      dataset->mutable_inline_()->mutable_targets()->clear_values();
    }
  };
  if (spec.quadratic().has_least_squares()) {
    clear_inline(spec.mutable_quadratic()->mutable_least_squares()->mutable_dataset());
  } else if (spec.has_relu_network()) {
    clear_inline(spec.mutable_relu_network()->mutable_dataset());
  } else if (spec.has_deep_linear_network()) {
    clear_inline(spec.mutable_deep_linear_network()->mutable_dataset());
  }
}

}  // namespace

absl::StatusOr<v1::ListTrainingJobsResponse> Jobs::List(
    const v1::ListTrainingJobsRequest& request) const {
  spec::Violations violations;
  const spec::JobFilter filter = spec::ParseFilter(request.filter(), violations);
  if (request.page_size() < 0 || request.page_size() > kPageSizeMax) {
    violations.Add("page_size",
                   spec::Refusal(request.page_size(),
                                 absl::StrCat("0 (", kPageSizeDefault, ") to ", kPageSizeMax)));
  }
  // A token is the place of the next job and a digest of the filter it belongs to.
  const std::string digest =
      absl::StrFormat("-%08x", std::hash<std::string>()(request.filter()) & 0xffffffff);
  storage::ListPage page;
  if (!request.page_token().empty()) {
    const std::string& token = request.page_token();
    const auto read = std::from_chars(token.data(), token.data() + token.size(), page.before);
    if (read.ec != std::errc() || page.before <= 0 ||
        std::string(read.ptr, token.data() + token.size()) != digest) {
      violations.Add(
          "page_token",
          "is not one of this list; accepted: next_page_token of the answer before, with the same "
          "filter");
    }
  }
  if (!violations.empty()) {
    return InvalidArgument(violations);
  }
  page.size = request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  page.matches = [&filter](const v1::TrainingJob& job) { return filter.Matches(job); };
  const storage::ListResult result = store_.List(page);
  std::unordered_map<std::string, int64_t> places;
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& job : queue_) {
      places.emplace(job->snapshot()->name(), static_cast<int64_t>(places.size()));
    }
  }
  v1::ListTrainingJobsResponse response;
  for (const storage::JobSnapshot& snapshot : result.jobs) {
    auto& job = *response.add_training_jobs();
    job = *snapshot;
    if (const auto place = places.find(job.name()); place != places.end()) {
      job.set_jobs_ahead(place->second);
    }
    ClearMatrices(*job.mutable_spec());
  }
  if (result.next_before > 0) {
    response.set_next_page_token(absl::StrCat(result.next_before, digest));
  }
  return response;
}

}  // namespace polyak::jobs
