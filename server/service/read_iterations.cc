#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "server/jobs/errors.h"
#include "server/service/grpc_status.h"
#include "server/service/iteration_reader.h"
#include "server/service/read_request.h"
#include "server/service/training_service.h"

namespace polyak::service {
namespace {

constexpr int32_t kRecordsDefault = 10'000;
constexpr int32_t kRecordsMax = 50'000;
// With diagnostics of all of them, at 98 bytes each: below the 4 MiB that clients take unless they
// are told otherwise.
constexpr int64_t kDiagnosedRecordsMax = 35'000;

absl::Status Fill(const jobs::Job& job, IterationReader& reader, int64_t max_records,
                  v1::ReadIterationsResponse& response) {
  const bool ended =
      job.ended();  // before the trace is read, so that an end is never said too early
  const auto found = reader.Next(max_records, ended, *response.mutable_iterations());
  response.set_end_of_trace(ended && !reader.HasMore(true));
  return found.status();
}

}  // namespace

grpc::ServerUnaryReactor* TrainingService::ReadIterations(
    grpc::CallbackServerContext* context, const v1::ReadIterationsRequest* request,
    v1::ReadIterationsResponse* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (request->max_records() < 0 || request->max_records() > kRecordsMax) {
    spec::Violations violations;
    violations.Add("max_records",
                   spec::Refusal(request->max_records(),
                                 absl::StrCat("0 (", kRecordsDefault, ") to ", kRecordsMax)));
    reactor->Finish(ToGrpcStatus(jobs::InvalidArgument(violations)));
    return reactor;
  }
  const int64_t asked = request->max_records() == 0 ? kRecordsDefault : request->max_records();
  const int64_t max_records =
      request->with_diagnostics() ? std::min(asked, kDiagnosedRecordsMax) : asked;
  ParseReadRequest(jobs_, *request, [this, reactor, response, max_records](const auto& read) {
    if (!read.ok()) {
      return reactor->Finish(ToGrpcStatus(read.status()));
    }
    const auto reader =
        std::make_shared<IterationReader>(read->job, read->options, read->after_iteration);
    reader->Defer(jobs_, [reactor, response, max_records, job = read->job, reader] {
      reactor->Finish(ToGrpcStatus(jobs::WithDetails(Fill(*job, *reader, max_records, *response))));
    });
  });
  return reactor;
}

}  // namespace polyak::service
