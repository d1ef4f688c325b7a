// The methods of a line: look up, change a wish, list.

#include "server/service/grpc_status.h"
#include "server/service/training_service.h"

namespace polyak::service {
namespace {

// Response and reactor live until the reactor is finished.
template <typename Response>
jobs::Jobs::JobDone AnswerJob(grpc::ServerUnaryReactor* reactor, Response* response) {
  return [reactor, response](const absl::StatusOr<storage::JobSnapshot>& job) {
    if (job.ok()) {
      *response->mutable_training_job() = **job;
    }
    reactor->Finish(ToGrpcStatus(job.status()));
  };
}

}  // namespace

TrainingService::TrainingService(jobs::Jobs& jobs, const base::Clock& clock,
                                 const ServiceOptions& options, telemetry::Logger log)
    : jobs_(jobs), clock_(clock), options_(options), log_(std::move(log)) {}

grpc::ServerUnaryReactor* TrainingService::GetTrainingJob(
    grpc::CallbackServerContext* context, const v1::GetTrainingJobRequest* request,
    v1::GetTrainingJobResponse* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  jobs_.Get(request->name(), AnswerJob(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* TrainingService::CancelTrainingJob(
    grpc::CallbackServerContext* context, const v1::CancelTrainingJobRequest* request,
    v1::CancelTrainingJobResponse* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  jobs_.Cancel(request->name(), AnswerJob(reactor, response));
  return reactor;
}

grpc::ServerUnaryReactor* TrainingService::DeleteTrainingJob(
    grpc::CallbackServerContext* context, const v1::DeleteTrainingJobRequest* request,
    v1::DeleteTrainingJobResponse* /*response*/) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  jobs_.Delete(request->name(),
               [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
  return reactor;
}

grpc::ServerUnaryReactor* TrainingService::ListTrainingJobs(
    grpc::CallbackServerContext* context, const v1::ListTrainingJobsRequest* request,
    v1::ListTrainingJobsResponse* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  jobs_.List(*request,
             [reactor, response](const absl::StatusOr<v1::ListTrainingJobsResponse>& page) {
               if (page.ok()) {
                 *response = *page;
               }
               reactor->Finish(ToGrpcStatus(page.status()));
             });
  return reactor;
}

}  // namespace polyak::service
