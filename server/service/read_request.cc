#include "server/service/read_request.h"

#include "absl/strings/str_cat.h"
#include "server/jobs/errors.h"
#include "server/spec/violations.h"

namespace polyak::service {

absl::Status CheckCursor(const jobs::Job& job, const ReadRequest& request, bool has_cursor) {
  spec::Violations violations;
  const int64_t iterations_max = job.outline().max_iterations;
  if (request.options.stride < 1) {
    violations.Add("stride", spec::Refusal(request.options.stride, "0 or more"));
  }
  if (has_cursor && (request.after_iteration < 0 || request.after_iteration > iterations_max)) {
    violations.Add("after_iteration", spec::Refusal(request.after_iteration,
                                                    absl::StrCat("0 to ", iterations_max,
                                                                 ", max_iterations of the job")));
  }
  if (!violations.empty()) {
    return jobs::InvalidArgument(violations);
  }
  const int64_t last = job.reader()->row_count() - 1;
  if (job.ended() && request.after_iteration > last) {
    return jobs::OutOfRange(
        absl::StrCat("after_iteration is ", request.after_iteration,
                     ", but the job has ended with iteration ", last, "; accepted: up to ", last),
        {{"latest_iteration", absl::StrCat(last)}});
  }
  return absl::OkStatus();
}

}  // namespace polyak::service
