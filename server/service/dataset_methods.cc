// The methods of a line: look up, list, remove.

#include "server/jobs/errors.h"
#include "server/service/dataset_service.h"
#include "server/service/grpc_status.h"

namespace polyak::service {

grpc::ServerUnaryReactor* DatasetService::GetDataset(grpc::CallbackServerContext* context,
                                                     const v1::GetDatasetRequest* request,
                                                     v1::GetDatasetResponse* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto dataset = datasets_.Get(request->name());
  if (dataset.ok()) {
    *response->mutable_dataset() = std::move(*dataset);
  }
  reactor->Finish(ToGrpcStatus(dataset.status()));
  return reactor;
}

grpc::ServerUnaryReactor* DatasetService::ListDatasets(
    grpc::CallbackServerContext* context, const v1::ListDatasetsRequest* request,
    v1::ListDatasetsResponse* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto page = datasets_.List(*request);
  if (page.ok()) {
    *response = std::move(*page);
  }
  reactor->Finish(ToGrpcStatus(page.status()));
  return reactor;
}

grpc::ServerUnaryReactor* DatasetService::DeleteDataset(
    grpc::CallbackServerContext* context, const v1::DeleteDatasetRequest* request,
    v1::DeleteDatasetResponse* /*response*/) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (jobs_.draining()) {
    reactor->Finish(ToGrpcStatus(jobs::Draining()));
    return reactor;
  }
  datasets_.Delete(request->name(), [reactor](const absl::Status& status) {
    reactor->Finish(ToGrpcStatus(status));
  });
  return reactor;
}

}  // namespace polyak::service
