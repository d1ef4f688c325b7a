#pragma once

#include <atomic>

#include "polyak/v1/dataset_service.grpc.pb.h"
#include "server/jobs/datasets.h"
#include "server/jobs/jobs.h"

namespace polyak::service {

// polyak.v1.DatasetService over gRPC's callback API. Decides nothing about data sets.
// Throws nothing, as TrainingService.
class DatasetService : public v1::DatasetService::CallbackService {
 public:
  // Borrows both, which must outlive it and every open call.
  DatasetService(jobs::Datasets& datasets, const jobs::Jobs& jobs)
      : datasets_(datasets), jobs_(jobs) {}

  grpc::ServerReadReactor<v1::CreateDatasetRequest>* CreateDataset(
      grpc::CallbackServerContext* context, v1::CreateDatasetResponse* response) noexcept override;
  grpc::ServerUnaryReactor* GetDataset(grpc::CallbackServerContext* context,
                                       const v1::GetDatasetRequest* request,
                                       v1::GetDatasetResponse* response) noexcept override;
  grpc::ServerUnaryReactor* ListDatasets(grpc::CallbackServerContext* context,
                                         const v1::ListDatasetsRequest* request,
                                         v1::ListDatasetsResponse* response) noexcept override;
  grpc::ServerUnaryReactor* DeleteDataset(grpc::CallbackServerContext* context,
                                          const v1::DeleteDatasetRequest* request,
                                          v1::DeleteDatasetResponse* response) noexcept override;

 private:
  jobs::Datasets& datasets_;
  const jobs::Jobs& jobs_;     // whether the server is about to stop
  std::atomic<int> open_ = 0;  // uploads
};

}  // namespace polyak::service
