// The methods that answer at once: look up, change a wish, list.

#include "server/service/grpc_status.h"
#include "server/service/training_service.h"

namespace polyak::service {
namespace {

template <typename Response>
grpc::ServerUnaryReactor* AnswerJob(grpc::CallbackServerContext* context, Response* response,
                                    const absl::StatusOr<storage::JobSnapshot>& job) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (job.ok()) {
    *response->mutable_training_job() = **job;
  }
  reactor->Finish(ToGrpcStatus(job.status()));
  return reactor;
}

}  // namespace

TrainingService::TrainingService(jobs::Jobs& jobs, const base::Clock& clock,
                                 const ServiceOptions& options, telemetry::Logger log)
    : jobs_(jobs), clock_(clock), options_(options), log_(std::move(log)) {}

grpc::ServerUnaryReactor* TrainingService::GetTrainingJob(grpc::CallbackServerContext* context,
                                                          const v1::GetTrainingJobRequest* request,
                                                          v1::GetTrainingJobResponse* response) {
  return AnswerJob(context, response, jobs_.Get(request->name()));
}

grpc::ServerUnaryReactor* TrainingService::CancelTrainingJob(
    grpc::CallbackServerContext* context, const v1::CancelTrainingJobRequest* request,
    v1::CancelTrainingJobResponse* response) {
  return AnswerJob(context, response, jobs_.Cancel(request->name()));
}

grpc::ServerUnaryReactor* TrainingService::DeleteTrainingJob(
    grpc::CallbackServerContext* context, const v1::DeleteTrainingJobRequest* request,
    v1::DeleteTrainingJobResponse* /*response*/) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(jobs_.Delete(request->name())));
  return reactor;
}

grpc::ServerUnaryReactor* TrainingService::ListTrainingJobs(
    grpc::CallbackServerContext* context, const v1::ListTrainingJobsRequest* request,
    v1::ListTrainingJobsResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto page = jobs_.List(*request);
  const absl::Status status = page.status();
  if (page.ok()) {
    *response = *std::move(page);
  }
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace polyak::service
