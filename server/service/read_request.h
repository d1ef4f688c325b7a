#pragma once

#include "server/jobs/jobs.h"
#include "server/service/iteration_reader.h"

namespace polyak::service {

struct ReadRequest {
  std::shared_ptr<jobs::Job> job;
  ReadOptions options;
  int64_t after_iteration = -1;
};

// What a watch and a paged read ask alike: the job, the cursor, the stride.
// Errors: NotFound; InvalidArgument for a cursor outside 0 .. max_iterations or a negative stride;
// OutOfRange for a cursor beyond the records of an ended job.
template <typename Message>
absl::StatusOr<ReadRequest> ParseReadRequest(const jobs::Jobs& jobs, const Message& message);

// The part that does not depend on the message.
absl::Status CheckCursor(const jobs::Job& job, const ReadRequest& request, bool has_cursor);

template <typename Message>
absl::StatusOr<ReadRequest> ParseReadRequest(const jobs::Jobs& jobs, const Message& message) {
  auto job = jobs.Find(message.name());
  if (!job.ok()) {
    return job.status();
  }
  ReadRequest request;
  request.job = *std::move(job);
  request.options.stride = message.stride() == 0 ? 1 : message.stride();
  request.options.with_prediction = message.with_prediction();
  request.options.with_elapsed = message.with_elapsed();
  if (message.has_after_iteration()) {
    request.after_iteration = message.after_iteration();
  }
  if (absl::Status status = CheckCursor(*request.job, request, message.has_after_iteration());
      !status.ok()) {
    return status;
  }
  return request;
}

}  // namespace polyak::service
