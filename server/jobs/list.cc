#include <charconv>
#include <functional>
#include <string>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/jobs/errors.h"
#include "server/jobs/jobs.h"
#include "server/spec/parse_filter.h"
#include "server/storage/explicit_numbers.h"

namespace polyak::jobs {
namespace {

constexpr int32_t kPageSizeDefault = 50;
constexpr int32_t kPageSizeMax = 1000;

}  // namespace

void Jobs::List(const v1::ListTrainingJobsRequest& request, ListDone done) {
  spec::Violations violations;
  spec::JobFilter filter = spec::ParseFilter(request.filter(), violations);
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
    return done(InvalidArgument(violations));
  }
  page.size = request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  page.matches = [filter = std::move(filter)](const v1::TrainingJob& job) {
    return filter.Matches(job);
  };
  store_.List(page, [this, digest, done = std::move(done)](const auto& result) {
    result.ok() ? done(DescribePage(*result, digest)) : done(WithDetails(result.status()));
  });
}

v1::ListTrainingJobsResponse Jobs::DescribePage(const storage::ListResult& page,
                                                const std::string& digest) const {
  std::unordered_map<std::string, int64_t> places;
  std::unordered_map<std::string, std::string> pauses;
  {
    const base::MutexLock lock(&mutex_);
    for (const auto& [name, job] : unfinished_) {
      pauses.emplace(name, job->pause_reason());
    }
    for (const auto& job : queue_) {
      places.emplace(job->snapshot()->name(), static_cast<int64_t>(places.size()));
    }
  }
  v1::ListTrainingJobsResponse response;
  for (const storage::JobSnapshot& snapshot : page.jobs) {
    auto& job = *response.add_training_jobs();
    job = *snapshot;
    if (const auto place = places.find(job.name()); place != places.end()) {
      job.set_jobs_ahead(place->second);
    }
    if (const auto pause = pauses.find(job.name()); pause != pauses.end()) {
      job.set_pause_reason(pause->second);
    }
    storage::ClearExplicitNumbers(*job.mutable_spec());
  }
  if (page.next_before > 0) {
    response.set_next_page_token(absl::StrCat(page.next_before, digest));
  }
  return response;
}

}  // namespace polyak::jobs
