// What the integration tests of watches share.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/client.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace polyak {

inline client::Client Connect(const std::string& address) {
  client::ClientOptions options;
  options.server = address;
  return client::Client(options);
}

inline v1::CreateTrainingJobRequest Request(const std::string& spec, const std::string& id = "") {
  v1::CreateTrainingJobRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec, request.mutable_spec())) << spec;
  request.set_training_job_id(id);
  return request;
}

inline std::string Quadratic(int64_t iterations) {
  return absl::StrCat(R"pb(
                        quadratic { spectrum { generated { dimension: 10 condition_number: 100 } } }
                        optimizer { polyak_momentum {} }
                        stopping { max_iterations:)pb",
                      iterations, "}");
}

// Hours of work: ended by the tests themselves.
inline constexpr char kEndless[] = R"pb(
  quadratic { spectrum { generated { dimension: 20000 condition_number: 1e8 } } }
  optimizer { gradient_descent {} }
  stopping { max_iterations: 10000000 })pb";

inline v1::TrainingJob Submit(client::Client& client, const v1::CreateTrainingJobRequest& request) {
  auto job = client.Submit(request);
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? *std::move(job) : v1::TrainingJob();
}

inline v1::TrainingJob Ended(client::Client& client, const v1::CreateTrainingJobRequest& request) {
  const std::string name = Submit(client, request).name();
  auto job = client.Wait(name, absl::InfiniteDuration());
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? *std::move(job) : v1::TrainingJob();
}

// Every record, by pages.
inline v1::IterationBatch ReadAll(client::Client& client, const std::string& name,
                                  bool with_diagnostics = false) {
  v1::IterationBatch all;
  v1::ReadIterationsRequest request;
  request.set_name(name);
  request.set_max_records(50'000);
  request.set_with_diagnostics(with_diagnostics);
  while (true) {
    const auto page = client.ReadIterations(request);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) {
      return all;
    }
    all.MergeFrom(page->iterations());
    if (page->end_of_trace()) {
      return all;
    }
    request.set_after_iteration(all.iteration(all.iteration_size() - 1));
  }
}

inline v1::WatchTrainingJobRequest Watching(const std::string& name) {
  v1::WatchTrainingJobRequest request;
  request.set_name(name);
  return request;
}

// Keeps what the library's watch delivers.
class Recorder : public client::WatchHandler {
 public:
  void OnSnapshot(const v1::TrainingJob& /*job*/) override { ++snapshots; }
  void OnIterations(const v1::IterationBatch& batch) override { records.MergeFrom(batch); }

  int snapshots = 0;
  v1::IterationBatch records;
};

}  // namespace polyak
