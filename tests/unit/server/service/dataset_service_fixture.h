#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/engine/trainer/trainer.h"
#include "server/service/dataset_service.h"
#include "server/storage/memory_dataset_store.h"
#include "server/storage/memory_job_store.h"
#include "server/storage/memory_run_store.h"
#include "tests/support/fake_clock.h"

namespace polyak::service {

// The service behind a channel of the same process: real reactors, real messages, no port.
class DatasetServiceTest : public ::testing::Test {
 protected:
  DatasetServiceTest() {
    datasets_ = std::make_unique<jobs::Datasets>(jobs::Datasets::Options(), dataset_store_,
                                                 job_store_, clock_);
    jobs::JobsOptions options;
    options.limits.datasets = datasets_.get();
    jobs_ = std::make_unique<jobs::Jobs>(options, job_store_, runs_, clock_);
    service_ = std::make_unique<DatasetService>(*datasets_, *jobs_);
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::DatasetService::NewStub(server_->InProcessChannel({}));
  }
  ~DatasetServiceTest() override {
    jobs_->Drain();
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
    jobs_.reset();
  }

  static v1::CreateDatasetRequest Header(int64_t examples) {
    v1::CreateDatasetRequest request;
    request.mutable_header()->set_examples(examples);
    request.mutable_header()->set_input_dimension(2);
    request.mutable_header()->set_output_dimension(1);
    return request;
  }
  static v1::CreateDatasetRequest Chunk(int64_t first, const std::vector<double>& values) {
    v1::CreateDatasetRequest request;
    request.mutable_chunk()->set_first_value(first);
    request.mutable_chunk()->mutable_values()->Assign(values.begin(), values.end());
    return request;
  }

  struct Answer {
    grpc::Status status;
    v1::CreateDatasetResponse response;
  };
  // close: whether the client says that it has sent all.
  Answer Send(const std::vector<v1::CreateDatasetRequest>& parts, bool close = true) {
    Answer answer;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const auto writer = stub_->CreateDataset(&context, &answer.response);
    for (const v1::CreateDatasetRequest& part : parts) {
      if (!writer->Write(part)) {
        break;
      }
    }
    if (close) {
      writer->WritesDone();
    }
    answer.status = writer->Finish();
    return answer;
  }

  testing_support::FakeClock clock_;
  storage::MemoryJobStore job_store_{clock_};
  storage::MemoryRunStore runs_{engine::kTraceColumns, engine::kDiagnosticColumns};
  storage::MemoryDatasetStore dataset_store_;
  std::unique_ptr<jobs::Datasets> datasets_;
  std::unique_ptr<jobs::Jobs> jobs_;
  std::unique_ptr<DatasetService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::DatasetService::Stub> stub_;
};

}  // namespace polyak::service
