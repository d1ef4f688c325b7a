#include "server/service/grpc_status.h"
#include "server/service/training_service.h"

namespace polyak::service {

grpc::ServerUnaryReactor* TrainingService::CreateTrainingJob(
    grpc::CallbackServerContext* context, const v1::CreateTrainingJobRequest* request,
    v1::CreateTrainingJobResponse* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  // Request and response live until the reactor is finished, which happens in the callback.
  jobs_.Create(*request,
               [this, reactor, response](const absl::StatusOr<storage::JobSnapshot>& job) {
                 if (job.ok()) {
                   *response->mutable_training_job() = **job;
                   log_->info("accepted {}", (*job)->name());
                 }
                 reactor->Finish(ToGrpcStatus(job.status()));
               });
  return reactor;
}

}  // namespace polyak::service
