#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/engine/trainer/trainer.h"
#include "server/service/training_service.h"
#include "server/storage/memory_job_store.h"
#include "server/storage/memory_run_store.h"
#include "tests/support/fake_clock.h"

namespace polyak::service {

// Ends at once.
inline constexpr char kShort[] =
    "quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } "
    "optimizer { polyak_momentum {} } stopping { max_iterations: 50 }";
// Runs until it is cancelled.
inline constexpr char kEndless[] =
    "quadratic { spectrum { generated { dimension: 20000 condition_number: 1e8 } } } "
    "optimizer { gradient_descent {} } stopping { max_iterations: 10000000 }";

// The service behind a channel of the same process: real reactors, real messages, no port.
class ServiceTest : public ::testing::Test {
 protected:
  // runs: outlives the test; null: runs are kept in memory.
  explicit ServiceTest(const ServiceOptions& options = {}, storage::RunStore* runs = nullptr) {
    jobs_options_.workers = 1;
    jobs_ = std::make_unique<jobs::Jobs>(jobs_options_, store_, runs == nullptr ? runs_ : *runs,
                                         clock_);
    service_ = std::make_unique<TrainingService>(*jobs_, clock_, options,
                                                 telemetry::MakeLogger("off").value());
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::TrainingService::NewStub(server_->InProcessChannel({}));
  }
  ~ServiceTest() override {
    jobs_->Drain();
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
    jobs_.reset();
  }

  // Calls a unary method; each has a deadline, so that a hanging one fails.
  template <typename Method, typename Request, typename Response>
  grpc::Status Call(Method method, const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return ((*stub_).*method)(&context, request, &response);
  }

  std::string Create(const std::string& spec, const std::string& id) {
    v1::CreateTrainingJobRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec, request.mutable_spec()));
    request.set_training_job_id(id);
    v1::CreateTrainingJobResponse response;
    const grpc::Status status =
        Call(&v1::TrainingService::Stub::CreateTrainingJob, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.training_job().name();
  }
  v1::TrainingJob Wait(const std::string& name) {
    v1::WaitTrainingJobRequest request;
    request.set_name(name);
    v1::WaitTrainingJobResponse response;
    const grpc::Status status =
        Call(&v1::TrainingService::Stub::WaitTrainingJob, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.training_job();
  }
  grpc::Status Cancel(const std::string& name) {
    v1::CancelTrainingJobRequest request;
    request.set_name(name);
    v1::CancelTrainingJobResponse response;
    return Call(&v1::TrainingService::Stub::CancelTrainingJob, request, response);
  }

  // The reason of an error's one ErrorInfo.
  static std::string ReasonOf(const grpc::Status& status) {
    google::rpc::Status details;
    EXPECT_TRUE(details.ParseFromString(status.error_details()));
    google::rpc::ErrorInfo info;
    int found = 0;
    for (const auto& any : details.details()) {
      found += any.UnpackTo(&info) ? 1 : 0;
    }
    EXPECT_EQ(found, 1);
    return info.reason();
  }
  // The refused fields of an INVALID_ARGUMENT.
  static std::vector<std::string> FieldsOf(const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    google::rpc::Status details;
    EXPECT_TRUE(details.ParseFromString(status.error_details()));
    std::vector<std::string> fields;
    google::rpc::BadRequest bad_request;
    for (const auto& any : details.details()) {
      if (any.UnpackTo(&bad_request)) {
        for (const auto& violation : bad_request.field_violations()) {
          fields.push_back(violation.field());
          EXPECT_NE(violation.description().find("accepted"), std::string::npos);
        }
      }
    }
    return fields;
  }

  testing_support::FakeClock clock_;
  storage::MemoryJobStore store_{clock_};
  storage::MemoryRunStore runs_{engine::kTraceColumns, engine::kDiagnosticColumns};
  jobs::JobsOptions jobs_options_;
  std::unique_ptr<jobs::Jobs> jobs_;
  std::unique_ptr<TrainingService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::TrainingService::Stub> stub_;
};

}  // namespace polyak::service
