#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "server/jobs/jobs.h"
#include "server/service/iteration_reader.h"

namespace polyak::service {

struct ReadRequest {
  std::shared_ptr<jobs::Job> job;
  ReadOptions options;
  int64_t after_iteration = -1;
};

// What a watch and a paged read ask alike: the job, the cursor, the stride. `done` is called from
// another thread, or before the call returns.
// Errors: NotFound; InvalidArgument for a cursor outside 0 .. max_iterations or a negative stride;
// OutOfRange for a cursor beyond the records of an ended job; those of reading the job's files.
using ReadRequestDone = std::function<void(absl::StatusOr<ReadRequest>)>;
template <typename Message>
void ParseReadRequest(jobs::Jobs& jobs, const Message& message, ReadRequestDone done);

// The part that does not depend on the message.
absl::Status CheckCursor(const jobs::Job& job, const ReadRequest& request, bool has_cursor);

template <typename Message>
void ParseReadRequest(jobs::Jobs& jobs, const Message& message, ReadRequestDone done) {
  ReadRequest request;
  request.options.stride = message.stride() == 0 ? 1 : message.stride();
  request.options.with_prediction = message.with_prediction();
  request.options.with_elapsed = message.with_elapsed();
  request.options.with_diagnostics = message.with_diagnostics();
  const bool has_cursor = message.has_after_iteration();
  if (has_cursor) {
    request.after_iteration = message.after_iteration();
  }
  jobs.Find(message.name(), [request = std::move(request), has_cursor,
                             done = std::move(done)](const auto& job) mutable {
    if (!job.ok()) {
      return done(job.status());
    }
    request.job = *job;
    const absl::Status status = CheckCursor(*request.job, request, has_cursor);
    status.ok() ? done(std::move(request)) : done(status);
  });
}

}  // namespace polyak::service
