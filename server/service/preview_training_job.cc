#include "server/service/grpc_status.h"
#include "server/service/training_service.h"

namespace polyak::service {

grpc::ServerUnaryReactor* TrainingService::PreviewTrainingJob(
    grpc::CallbackServerContext* context, const v1::PreviewTrainingJobRequest* request,
    v1::PreviewTrainingJobResponse* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  jobs_.Preview(request->spec(),
                [reactor, response](const absl::StatusOr<v1::PreviewTrainingJobResponse>& preview) {
                  if (preview.ok()) {
                    *response = *preview;
                  }
                  reactor->Finish(ToGrpcStatus(preview.status()));
                });
  return reactor;
}

}  // namespace polyak::service
