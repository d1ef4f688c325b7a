#pragma once

#include <atomic>

#include "polyak/v1/training_service.grpc.pb.h"
#include "server/base/clock.h"
#include "server/jobs/jobs.h"
#include "server/telemetry/log.h"

namespace polyak::service {

struct ServiceOptions {
  int64_t max_watchers = 5000;
  int64_t max_message_bytes = 16 << 20;
  int64_t max_read_parameters = 100'000'000;
  int64_t disk_reserve_bytes = 0;  // to be published, like the next
  int64_t dataset_bytes = 0;
};

// polyak.v1.TrainingService over gRPC's callback API, a file a method. Decides nothing about jobs.
//
// gRPC swallows what its callbacks throw: the client would hear UNIMPLEMENTED, or nothing ever, and
// a request that was half-way would stay so. So they throw nothing: without memory for a request
// the process ends, and the next one goes on (docs/decisions/no-memory.md).
class TrainingService : public v1::TrainingService::CallbackService {
 public:
  // Borrows jobs and clock, which must outlive it and every open call.
  TrainingService(jobs::Jobs& jobs, const base::Clock& clock, const ServiceOptions& options,
                  telemetry::Logger log);

  grpc::ServerUnaryReactor* CreateTrainingJob(
      grpc::CallbackServerContext* context, const v1::CreateTrainingJobRequest* request,
      v1::CreateTrainingJobResponse* response) noexcept override;
  grpc::ServerUnaryReactor* GetTrainingJob(grpc::CallbackServerContext* context,
                                           const v1::GetTrainingJobRequest* request,
                                           v1::GetTrainingJobResponse* response) noexcept override;
  grpc::ServerUnaryReactor* ListTrainingJobs(
      grpc::CallbackServerContext* context, const v1::ListTrainingJobsRequest* request,
      v1::ListTrainingJobsResponse* response) noexcept override;
  grpc::ServerUnaryReactor* CancelTrainingJob(
      grpc::CallbackServerContext* context, const v1::CancelTrainingJobRequest* request,
      v1::CancelTrainingJobResponse* response) noexcept override;
  grpc::ServerUnaryReactor* DeleteTrainingJob(
      grpc::CallbackServerContext* context, const v1::DeleteTrainingJobRequest* request,
      v1::DeleteTrainingJobResponse* response) noexcept override;
  grpc::ServerUnaryReactor* PreviewTrainingJob(
      grpc::CallbackServerContext* context, const v1::PreviewTrainingJobRequest* request,
      v1::PreviewTrainingJobResponse* response) noexcept override;
  grpc::ServerUnaryReactor* WaitTrainingJob(
      grpc::CallbackServerContext* context, const v1::WaitTrainingJobRequest* request,
      v1::WaitTrainingJobResponse* response) noexcept override;
  grpc::ServerWriteReactor<v1::WatchTrainingJobResponse>* WatchTrainingJob(
      grpc::CallbackServerContext* context,
      const v1::WatchTrainingJobRequest* request) noexcept override;
  grpc::ServerUnaryReactor* ReadIterations(grpc::CallbackServerContext* context,
                                           const v1::ReadIterationsRequest* request,
                                           v1::ReadIterationsResponse* response) noexcept override;
  grpc::ServerUnaryReactor* SummarizeIterations(
      grpc::CallbackServerContext* context, const v1::SummarizeIterationsRequest* request,
      v1::SummarizeIterationsResponse* response) noexcept override;
  grpc::ServerWriteReactor<v1::ReadParametersResponse>* ReadParameters(
      grpc::CallbackServerContext* context,
      const v1::ReadParametersRequest* request) noexcept override;
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::GetServerInfoResponse* response) noexcept override;

 private:
  // A place among the open streams, which their reactors give back; or why there is none.
  absl::Status TakeStream();

  jobs::Jobs& jobs_;
  const base::Clock& clock_;
  const ServiceOptions options_;
  const telemetry::Logger log_;
  std::atomic<int64_t> watchers_ = 0;
};

}  // namespace polyak::service
