#include "client/cpp/client.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/cpp/backoff.h"
#include "client/cpp/dataset_digest.h"
#include "client/cpp/status.h"
#include "grpcpp/grpcpp.h"

namespace polyak::client {
namespace {

// Keepalive finds a dead peer in under a minute; the server accepts pings from 20 s on.
constexpr int kKeepaliveMilliseconds = 30'000;
constexpr int kKeepaliveTimeoutMilliseconds = 20'000;
// A batch of records is far smaller; the final snapshot of a job with explicit matrices may be this
// large.
constexpr int kReceiveBytesMax = 64 << 20;

// Of a data set, in one message of half a MiB.
constexpr size_t kChunkValues = 65'536;

// Before a try: how long a connection may take to come about.
constexpr absl::Duration kReconnectMax = absl::Seconds(1);
// A try that lasts longer had a connection: gRPC gives one up after 20 s.
constexpr absl::Duration kConnectMax = absl::Seconds(30);

uint64_t RandomSeed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

std::string RandomRequestId() { return absl::StrFormat("%016x%016x", RandomSeed(), RandomSeed()); }

bool MayRetry(const absl::Status& status) {
  return absl::IsUnavailable(status) ||
         (absl::IsResourceExhausted(status) && RetryDelay(status).has_value());
}

// Sleeps, but wakes when a stop is requested. Returns false if it was.
bool SleepUnlessStopped(absl::Duration pause, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, absl::ToChronoNanoseconds(pause), [] { return false; });
  return !stop.stop_requested();
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMilliseconds);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Retries are ours: gRPC's own cannot resume a stream, and would multiply the tries.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetMaxReceiveMessageSize(kReceiveBytesMax);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Client::Client(ClientOptions options)
    : options_(std::move(options)),
      channel_(MakeChannel(options_.server)),
      stub_(v1::TrainingService::NewStub(channel_)),
      datasets_(v1::DatasetService::NewStub(channel_)) {}

void Client::Reconnect(absl::Time end, const std::stop_token& stop) {
  constexpr absl::Duration kLook = absl::Milliseconds(50);  // how soon a stop is heard
  grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
  while (absl::Now() < end && !stop.stop_requested() &&
         !channel_->WaitForConnected(absl::ToChronoTime(std::min(absl::Now() + kLook, end)))) {
  }
}

absl::Status Client::Retrying(absl::Duration try_timeout,
                              const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  Backoff backoff(RandomSeed());
  absl::Time give_up = absl::InfiniteFuture();
  while (true) {
    grpc::ClientContext context;
    if (try_timeout != absl::InfiniteDuration()) {
      context.set_deadline(absl::ToChronoTime(absl::Now() + try_timeout));
    }
    const absl::Time begun = absl::Now();
    const absl::Status status = ToAbslStatus(call(context));
    if (status.ok() || !MayRetry(status)) {
      return status;
    }
    // From the first failure, and anew after a try that was under way for long, longer than any
    // that only waited for a connection.
    if (absl::Now() - begun > std::max(options_.give_up_after, kConnectMax)) {
      give_up = absl::InfiniteFuture();
      backoff.Reset();
    }
    give_up = std::min(give_up, absl::Now() + options_.give_up_after);
    const absl::Duration pause =
        std::max(backoff.Next(), RetryDelay(status).value_or(absl::ZeroDuration()));
    if (absl::Now() + pause > give_up) {
      return status;
    }
    if (options_.on_retry) {
      options_.on_retry(status, pause);
    }
    absl::SleepFor(pause);
    Reconnect(std::min(absl::Now() + std::min(pause, kReconnectMax), give_up), {});
  }
}

absl::StatusOr<v1::TrainingJob> Client::Submit(v1::CreateTrainingJobRequest request) {
  if (request.request_id().empty()) {
    request.set_request_id(RandomRequestId());
  }
  v1::CreateTrainingJobResponse response;
  absl::Status status = Retrying(options_.prepare_timeout, [&](grpc::ClientContext& context) {
    return stub_->CreateTrainingJob(&context, request, &response);
  });
  if (!status.ok()) {
    return status;
  }
  return std::move(*response.mutable_training_job());
}

absl::StatusOr<v1::TrainingJob> Client::Get(const std::string& name) {
  v1::GetTrainingJobRequest request;
  request.set_name(name);
  v1::GetTrainingJobResponse response;
  absl::Status status = Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return stub_->GetTrainingJob(&context, request, &response);
  });
  if (!status.ok()) {
    return status;
  }
  return std::move(*response.mutable_training_job());
}

absl::StatusOr<v1::ListTrainingJobsResponse> Client::List(
    const v1::ListTrainingJobsRequest& request) {
  v1::ListTrainingJobsResponse response;
  absl::Status status = Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return stub_->ListTrainingJobs(&context, request, &response);
  });
  if (!status.ok()) {
    return status;
  }
  return response;
}

absl::StatusOr<v1::TrainingJob> Client::Cancel(const std::string& name) {
  v1::CancelTrainingJobRequest request;
  request.set_name(name);
  v1::CancelTrainingJobResponse response;
  absl::Status status = Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return stub_->CancelTrainingJob(&context, request, &response);
  });
  if (!status.ok()) {
    return status;
  }
  return std::move(*response.mutable_training_job());
}

absl::Status Client::Delete(const std::string& name) {
  v1::DeleteTrainingJobRequest request;
  request.set_name(name);
  v1::DeleteTrainingJobResponse response;
  return Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return stub_->DeleteTrainingJob(&context, request, &response);
  });
}

absl::StatusOr<v1::PreviewTrainingJobResponse> Client::Preview(const v1::TrainingJobSpec& spec) {
  v1::PreviewTrainingJobRequest request;
  *request.mutable_spec() = spec;
  v1::PreviewTrainingJobResponse response;
  absl::Status status = Retrying(options_.prepare_timeout, [&](grpc::ClientContext& context) {
    return stub_->PreviewTrainingJob(&context, request, &response);
  });
  if (!status.ok()) {
    return status;
  }
  return response;
}

absl::StatusOr<v1::ReadIterationsResponse> Client::ReadIterations(
    const v1::ReadIterationsRequest& request) {
  v1::ReadIterationsResponse response;
  absl::Status status = Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return stub_->ReadIterations(&context, request, &response);
  });
  if (!status.ok()) {
    return status;
  }
  return response;
}

absl::StatusOr<v1::GetServerInfoResponse> Client::ServerInfo() {
  v1::GetServerInfoResponse response;
  absl::Status status = Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return stub_->GetServerInfo(&context, v1::GetServerInfoRequest(), &response);
  });
  if (!status.ok()) {
    return status;
  }
  return response;
}

absl::Status Client::ReadParameters(const std::string& name, const OnParameters& on_block,
                                    const std::stop_token& stop) {
  v1::ReadParametersRequest request;
  request.set_name(name);
  bool begun = false;
  absl::Status broken;
  // Without a deadline: there may be a GB to read, and keepalive finds a dead server.
  absl::Status status =
      Retrying(absl::InfiniteDuration(), [&](grpc::ClientContext& context) -> grpc::Status {
        const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
        const auto reader = stub_->ReadParameters(&context, request);
        v1::ReadParametersResponse block;
        while (reader->Read(&block)) {
          begun = true;
          on_block(block);
        }
        const grpc::Status finished = reader->Finish();
        if (begun && !finished.ok()) {
          broken = ToAbslStatus(finished);
          return grpc::Status::OK;  // not to be tried again
        }
        return finished;
      });
  status.Update(broken);
  return status;
}

absl::StatusOr<v1::StoredDataset> Client::SendDataset(v1::DatasetHeader header,
                                                      std::span<const double> values) {
  if (!SizesFit(header, values.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the data set has ", values.size(),
                     " values; accepted: examples x "
                     "(input_dimension + output_dimension), all at least 1"));
  }
  header.set_sha256(DatasetDigest(header, values));
  v1::CreateDatasetResponse response;
  // Without a deadline: there may be a GB to send, and keepalive finds a dead server.
  absl::Status status = Retrying(absl::InfiniteDuration(), [&](grpc::ClientContext& context) {
    const auto writer = datasets_->CreateDataset(&context, &response);
    v1::CreateDatasetRequest request;
    *request.mutable_header() = header;
    // A write fails when the server has answered: the answer tells the rest.
    bool wanted = writer->Write(request);
    for (size_t sent = 0; wanted && sent < values.size(); sent += kChunkValues) {
      const auto part = values.subspan(sent, std::min(kChunkValues, values.size() - sent));
      auto& chunk = *request.mutable_chunk();
      chunk.set_first_value(static_cast<int64_t>(sent));
      chunk.mutable_values()->Assign(part.begin(), part.end());
      wanted = writer->Write(request);
    }
    writer->WritesDone();
    const grpc::Status finished = writer->Finish();
    // Not by us: the server or something on the way has let go of the stream.
    return finished.error_code() == grpc::StatusCode::CANCELLED
               ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the upload was cut")
               : finished;
  });
  if (!status.ok()) {
    return status;
  }
  return std::move(*response.mutable_dataset());
}

absl::StatusOr<v1::StoredDataset> Client::GetDataset(const std::string& name) {
  v1::GetDatasetRequest request;
  request.set_name(name);
  v1::GetDatasetResponse response;
  absl::Status status = Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return datasets_->GetDataset(&context, request, &response);
  });
  if (!status.ok()) {
    return status;
  }
  return std::move(*response.mutable_dataset());
}

absl::StatusOr<v1::ListDatasetsResponse> Client::ListDatasets(
    const v1::ListDatasetsRequest& request) {
  v1::ListDatasetsResponse response;
  absl::Status status = Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return datasets_->ListDatasets(&context, request, &response);
  });
  if (!status.ok()) {
    return status;
  }
  return response;
}

absl::Status Client::DeleteDataset(const std::string& name) {
  v1::DeleteDatasetRequest request;
  request.set_name(name);
  v1::DeleteDatasetResponse response;
  return Retrying(options_.call_timeout, [&](grpc::ClientContext& context) {
    return datasets_->DeleteDataset(&context, request, &response);
  });
}

absl::StatusOr<v1::TrainingJob> Client::Wait(const std::string& name, absl::Duration timeout) {
  // One call may wait for a part of the time only: a proxy or the server may cut longer ones.
  constexpr absl::Duration kPartMax = absl::Minutes(5);
  const absl::Time end = absl::Now() + timeout;
  while (true) {
    const absl::Duration part = std::clamp(end - absl::Now(), absl::ZeroDuration(), kPartMax);
    v1::WaitTrainingJobRequest request;
    request.set_name(name);
    const int64_t milliseconds = absl::ToInt64Milliseconds(part);
    request.mutable_timeout()->set_seconds(milliseconds / 1000);
    request.mutable_timeout()->set_nanos(static_cast<int32_t>(milliseconds % 1000) * 1'000'000);
    v1::WaitTrainingJobResponse response;
    absl::Status status = Retrying(part + options_.call_timeout, [&](grpc::ClientContext& context) {
      return stub_->WaitTrainingJob(&context, request, &response);
    });
    if (!status.ok()) {
      return status;
    }
    if (response.training_job().has_end_time() || absl::Now() >= end) {
      return std::move(*response.mutable_training_job());
    }
  }
}

absl::StatusOr<v1::TrainingJob> Client::WatchOnce(v1::WatchTrainingJobRequest& request,
                                                  WatchHandler& handler,
                                                  const std::stop_token& stop, std::string& uid,
                                                  bool& progressed) {
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const auto reader = stub_->WatchTrainingJob(&context, request);
  v1::WatchTrainingJobResponse response;
  std::optional<v1::TrainingJob> ended;
  absl::Status replaced;
  while (reader->Read(&response)) {
    progressed = true;
    if (response.has_snapshot()) {
      // A name can be used again; records of two jobs must never be joined.
      const std::string& found = response.snapshot().training_job().uid();
      if (uid.empty()) {
        uid = found;
      } else if (uid != found) {
        replaced =
            absl::AbortedError(absl::StrCat(request.name(), " is another job now: its uid is ",
                                            found, ", before the cut it was ", uid));
        context.TryCancel();
        break;
      }
    }
    switch (response.event_case()) {
      case v1::WatchTrainingJobResponse::kSnapshot:
        handler.OnSnapshot(response.snapshot().training_job());
        break;
      case v1::WatchTrainingJobResponse::kIterations:
        if (response.iterations().iteration_size() > 0) {
          handler.OnIterations(response.iterations());
          const auto& iteration = response.iterations().iteration();
          request.set_after_iteration(iteration[iteration.size() - 1]);
        }
        break;
      case v1::WatchTrainingJobResponse::kCaughtUp:
        handler.OnCaughtUp(response.caught_up());
        break;
      case v1::WatchTrainingJobResponse::kHeartbeat:
        handler.OnHeartbeat(response.heartbeat());
        break;
      case v1::WatchTrainingJobResponse::kTerminal:
        ended = std::move(*response.mutable_terminal()->mutable_training_job());
        break;
      case v1::WatchTrainingJobResponse::EVENT_NOT_SET:
        break;  // an event of a newer server: the cursor does not depend on it
    }
  }
  const absl::Status status = ToAbslStatus(reader->Finish());
  if (!replaced.ok()) {
    return replaced;
  }
  if (ended.has_value()) {
    return *std::move(ended);
  }
  if (stop.stop_requested()) {
    return absl::CancelledError("the watch was stopped; the job goes on");
  }
  if (absl::IsCancelled(status)) {
    // Not by us: the server or something on the way has let go of the stream.
    return absl::UnavailableError("the stream was cut");
  }
  if (!status.ok()) {
    return status;
  }
  // OK without Terminal says nothing about the job: it is a cut like any other.
  return absl::UnavailableError("the stream ended before the job did");
}

absl::StatusOr<v1::TrainingJob> Client::Watch(v1::WatchTrainingJobRequest request,
                                              WatchHandler& handler, const std::stop_token& stop) {
  Backoff backoff(RandomSeed());
  absl::Time give_up = absl::Now() + options_.give_up_after;
  std::string uid;  // of the job that is watched, once it is known
  while (true) {
    bool progressed = false;
    auto result = WatchOnce(request, handler, stop, uid, progressed);
    if (result.ok()) {
      return result;
    }
    if (!MayRetry(result.status())) {
      return result.status();
    }
    if (progressed) {
      backoff.Reset();
      give_up = absl::Now() + options_.give_up_after;
    }
    const absl::Duration pause =
        std::max(backoff.Next(), RetryDelay(result.status()).value_or(absl::ZeroDuration()));
    if (absl::Now() + pause > give_up) {
      return result.status();
    }
    if (options_.on_retry) {
      options_.on_retry(result.status(), pause);
    }
    if (!SleepUnlessStopped(pause, stop)) {
      return absl::CancelledError("the watch was stopped; the job goes on");
    }
    Reconnect(std::min(absl::Now() + std::min(pause, kReconnectMax), give_up), stop);
  }
}

std::string JobName(const std::string& id_or_name) {
  constexpr char kPrefix[] = "trainingJobs/";
  return absl::StartsWith(id_or_name, kPrefix) ? id_or_name : absl::StrCat(kPrefix, id_or_name);
}

std::string DatasetName(const std::string& id_or_name) {
  constexpr char kPrefix[] = "datasets/";
  return absl::StartsWith(id_or_name, kPrefix) ? id_or_name : absl::StrCat(kPrefix, id_or_name);
}

}  // namespace polyak::client
