#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "polyak/v1/dataset_service.grpc.pb.h"
#include "polyak/v1/training_service.grpc.pb.h"

namespace polyak::client {

struct ClientOptions {
  std::string server = "127.0.0.1:50051";           // host:port, or unix:PATH
  absl::Duration call_timeout = absl::Seconds(30);  // of one try of a unary call
  // Of one try of Submit and Preview, which wait for the spectrum of the problem: minutes for a
  // full matrix of thousands of rows. A dead connection is noticed long before.
  absl::Duration prepare_timeout = absl::Minutes(10);
  // How long a call or a watch goes on trying without one success before it gives up with the last
  // error.
  absl::Duration give_up_after = absl::Seconds(60);
  // Told before each pause: the error that made it and its length. May be empty.
  std::function<void(const absl::Status&, absl::Duration)> on_retry;
};

// What a watch delivers, in the order of docs/watch.md: every record once, in order, however often
// the stream was cut.
class WatchHandler {
 public:
  virtual ~WatchHandler() = default;
  // The job as it is when a stream begins; again after each reconnection.
  virtual void OnSnapshot(const v1::TrainingJob& /*job*/) {}
  virtual void OnIterations(const v1::IterationBatch& /*batch*/) {}
  virtual void OnCaughtUp(const v1::CaughtUp& /*caught_up*/) {}
  virtual void OnHeartbeat(const v1::Heartbeat& /*heartbeat*/) {}
};

// A connection to one server. Safe to use from several threads. Retries by itself what is safe:
// UNAVAILABLE with growing pauses, and RESOURCE_EXHAUSTED when the server says after how long;
// nothing else. Errors carry the server's details (client/cpp/status.h).
class Client {
 public:
  explicit Client(ClientOptions options);

  // Submits a job. An empty request_id is filled with a random one first, so that a retry never
  // makes a second job.
  absl::StatusOr<v1::TrainingJob> Submit(v1::CreateTrainingJobRequest request);
  // Each call below blocks until it is answered; where the server can't be reached, until
  // give_up_after has passed since its first failure. Errors: the server's, with its details, and
  // UNAVAILABLE or DEADLINE_EXCEEDED of the last try.
  absl::StatusOr<v1::TrainingJob> Get(const std::string& name);
  absl::StatusOr<v1::ListTrainingJobsResponse> List(const v1::ListTrainingJobsRequest& request);
  absl::StatusOr<v1::TrainingJob> Cancel(const std::string& name);
  absl::Status Delete(const std::string& name);
  absl::StatusOr<v1::PreviewTrainingJobResponse> Preview(const v1::TrainingJobSpec& spec);
  absl::StatusOr<v1::ReadIterationsResponse> ReadIterations(
      const v1::ReadIterationsRequest& request);
  absl::StatusOr<v1::GetServerInfoResponse> ServerInfo();
  // The final iterate of an ended job, block after block. Tried again only while no block has come.
  // Errors: as above; DATA_LOSS, UNAVAILABLE or CANCELLED in the middle: then what came is to be
  // thrown away.
  using OnParameters = std::function<void(const v1::ReadParametersResponse&)>;
  absl::Status ReadParameters(const std::string& name, const OnParameters& on_block,
                              const std::stop_token& stop = {});

  // Sends a data set, unless the server has it already: its name is then the same, and nothing but
  // its digest is sent.
  //   values: the features of all examples row by row, then their targets row by row.
  //   Errors: InvalidArgument if the values are not as many as the header's sizes say; the
  //   server's.
  absl::StatusOr<v1::StoredDataset> SendDataset(v1::DatasetHeader header,
                                                std::span<const double> values);
  absl::StatusOr<v1::StoredDataset> GetDataset(const std::string& name);
  absl::StatusOr<v1::ListDatasetsResponse> ListDatasets(const v1::ListDatasetsRequest& request);
  absl::Status DeleteDataset(const std::string& name);

  // Blocks until the job has ended or the timeout is over; answers the job as it then is.
  absl::StatusOr<v1::TrainingJob> Wait(const std::string& name, absl::Duration timeout);

  // Follows a job to its end and answers its final form. A cut stream is resumed after the last
  // record delivered. Errors: CANCELLED once `stop` is requested; ABORTED if the name has meanwhile
  // become another job's; what the server answers; the last error after give_up_after.
  absl::StatusOr<v1::TrainingJob> Watch(v1::WatchTrainingJobRequest request, WatchHandler& handler,
                                        const std::stop_token& stop = {});

 private:
  absl::Status Retrying(absl::Duration try_timeout,
                        const std::function<grpc::Status(grpc::ClientContext&)>& call);
  absl::StatusOr<v1::TrainingJob> WatchOnce(v1::WatchTrainingJobRequest& request,
                                            WatchHandler& handler, const std::stop_token& stop,
                                            std::string& uid, bool& progressed);

  // Tries to connect now, whatever gRPC's own pauses between connections are (a call made during
  // one fails with the old error), until the connection stands or `end`.
  void Reconnect(absl::Time end, const std::stop_token& stop);

  ClientOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TrainingService::Stub> stub_;
  std::unique_ptr<v1::DatasetService::Stub> datasets_;
};

// "trainingJobs/ID" from an id or a full name.
std::string JobName(const std::string& id_or_name);
// "datasets/ID" likewise.
std::string DatasetName(const std::string& id_or_name);

}  // namespace polyak::client
