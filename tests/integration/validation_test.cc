// What a real server answers to specs that can't run: over the wire, with every field.

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace polyak {
namespace {

using ::polyak::testing_support::Server;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// One server for the whole suite: what is refused leaves nothing behind.
class Validation : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new Server({"--memory=1000"}); }
  static void TearDownTestSuite() {
    // Whatever was sent, it lived to be stopped.
    server_->process().Signal(SIGTERM);
    EXPECT_EQ(server_->process().Wait(), 0) << server_->process().Errors();
    delete server_;
  }
  static client::Client Connect() {
    client::ClientOptions options;
    options.server = server_->address();
    options.give_up_after = absl::ZeroDuration();
    return client::Client(options);
  }
  static v1::TrainingJobSpec Spec(const std::string& text) {
    v1::TrainingJobSpec spec;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
    return spec;
  }
  // Refused by Create and by Preview alike; answers Create's violations.
  static std::vector<client::FieldViolation> Refused(const v1::TrainingJobSpec& spec) {
    client::Client client = Connect();
    v1::CreateTrainingJobRequest request;
    *request.mutable_spec() = spec;
    const absl::Status created = client.Submit(request).status();
    EXPECT_EQ(created.code(), absl::StatusCode::kInvalidArgument) << created;
    EXPECT_EQ(client::ErrorReason(created), "INVALID_FIELDS") << created;
    const absl::Status previewed = client.Preview(spec).status();
    EXPECT_EQ(client::Explain(previewed), client::Explain(created));
    for (const auto& violation : client::FieldViolations(created)) {
      EXPECT_THAT(violation.description, HasSubstr("accepted"));
    }
    return client::FieldViolations(created);
  }
  static std::vector<std::string> Fields(const std::vector<client::FieldViolation>& violations) {
    std::vector<std::string> fields;
    for (const auto& violation : violations) {
      fields.push_back(violation.field);
    }
    return fields;
  }
  static std::vector<std::string> RefusedFields(const std::string& spec) {
    return Fields(Refused(Spec(spec)));
  }

  // How many violations arrive over a channel with gRPC's own settings.
  static size_t ListedOverAPlainChannel(const v1::CreateTrainingJobRequest& request) {
    const auto stub = v1::TrainingService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::CreateTrainingJobResponse response;
    const grpc::Status status = stub->CreateTrainingJob(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    // Other stacks send what is binary as base64, 4 characters for 3 bytes, within 8 KiB.
    EXPECT_LT(status.error_details().size() * 4 / 3, 8000u);
    return client::FieldViolations(client::ToAbslStatus(status)).size();
  }

  static Server* server_;
};

Server* Validation::server_ = nullptr;

TEST_F(Validation, EveryBadFieldIsNamedAtOnce) {
  EXPECT_THAT(RefusedFields(R"pb(
                quadratic {
                  matrix {
                    rows: 2
                    cols: 2
                    values: [ 1, 0.5, 0, 1 ]
                  }
                  linear_term: [ 1, 2, 3 ]
                }
                optimizer { polyak_momentum { momentum: 1 step_size: nan } }
                stopping {
                  max_iterations: -1
                  relative_loss: 1
                  max_duration { seconds: 99999999 }
                }
                plan: 7)pb"),
              UnorderedElementsAre("spec.quadratic.matrix", "spec.quadratic.linear_term",
                                   "spec.optimizer.polyak_momentum.momentum",
                                   "spec.optimizer.polyak_momentum.step_size",
                                   "spec.stopping.max_iterations", "spec.stopping.relative_loss",
                                   "spec.stopping.max_duration", "spec.plan"));
}

TEST_F(Validation, WhatOnlyEigenvaluesShowIsNamedBesideTheRest) {
  EXPECT_THAT(
      RefusedFields(R"pb(
        quadratic {
          matrix {
            rows: 2
            cols: 2
            values: [ 1, 2, 2, 1 ]
          }
        }
        optimizer { polyak_momentum { momentum: 1.5 } }
        stopping { relative_loss: 2 })pb"),
      UnorderedElementsAre("spec.quadratic.matrix", "spec.optimizer.polyak_momentum.momentum",
                           "spec.stopping.relative_loss"));
}

TEST_F(Validation, ProblemsThatCanNotRunAreRefused) {
  const std::string descent = " optimizer { gradient_descent {} }";
  EXPECT_THAT(RefusedFields("quadratic { matrix { rows: 1 cols: 1 values: -1 } }" + descent),
              ElementsAre("spec.quadratic.matrix"));
  EXPECT_THAT(
      RefusedFields("quadratic { spectrum { explicit { eigenvalues: [0, 1] } } }" + descent),
      ElementsAre("spec.optimizer"));
  EXPECT_THAT(
      RefusedFields("relu_network { width: 0 dataset { name: 'datasets/none' } }" + descent),
      UnorderedElementsAre("spec.relu_network.width", "spec.relu_network.dataset.name"));
  EXPECT_THAT(
      RefusedFields("deep_linear_network { width: 2 depth: 1 dataset { name: "
                    "'datasets/wine' } }" +
                    descent),
      UnorderedElementsAre("spec.deep_linear_network.width", "spec.deep_linear_network.depth"));
}

// The answer must fit into what HTTP/2 carries beside a message, also with the longest paths and
// for a client with gRPC's own settings: 8 KiB.
TEST_F(Validation, FiftyOfManyViolationsArriveAndAllAreCounted) {
  v1::TrainingJobSpec spec = Spec(
      "deep_linear_network { width: 10 depth: 2 dataset { synthetic { "
      "examples: 5 input_dimension: 10 } } } "
      "optimizer { gradient_descent {} }");
  for (int l = 0; l < 2; ++l) {
    auto& weights = *spec.mutable_deep_linear_network()->add_initial_weights();
    weights.set_rows(l == 0 ? 10 : 1);
    weights.set_cols(10);
    for (int k = 0; k < weights.rows() * 10; ++k) {
      weights.add_values(-std::numeric_limits<double>::infinity());
    }
  }
  EXPECT_EQ(Refused(spec).size(), 50u);
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = spec;
  EXPECT_THAT(std::string(Connect().Submit(request).status().message()), HasSubstr("110 fields"));

  EXPECT_EQ(ListedOverAPlainChannel(request), 50u);
}

TEST_F(Validation, TheWordiestViolationsArriveToo) {
  v1::CreateTrainingJobRequest zeros;
  *zeros.mutable_spec() = Spec(
      "deep_linear_network { width: 10 depth: 2 dataset { feature_scaling: "
      "FEATURE_SCALING_UNIT_NORM } } optimizer { gradient_descent {} }");
  auto& data = *zeros.mutable_spec()->mutable_deep_linear_network()->mutable_dataset();
  for (auto* matrix :
       {data.mutable_inline_()->mutable_features(), data.mutable_inline_()->mutable_targets()}) {
    matrix->set_rows(60);
    matrix->set_cols(1);
    matrix->mutable_values()->Resize(60, 0);
  }
  EXPECT_EQ(ListedOverAPlainChannel(zeros), 50u);
  v1::CreateTrainingJobRequest labels;
  for (int k = 0; k < 64; ++k) {
    (*labels.mutable_labels())[std::string(200, 'K') + std::to_string(k)] = std::string(300, 'v');
  }
  EXPECT_EQ(ListedOverAPlainChannel(labels), 50u);
}

// Text that a client sent comes back cut, and never in the middle of a character.
TEST_F(Validation, LongTextsOfManyBytesComeBackReadable) {
  std::string text;
  for (int k = 0; k < 5000; ++k) {
    text += k % 2 == 0 ? "\xC3\xA9" : "\xF0\x9F\x98\x80";
  }
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = Spec("optimizer { gradient_descent {} }");
  request.mutable_spec()->mutable_relu_network()->set_width(1);
  request.mutable_spec()->mutable_relu_network()->mutable_dataset()->set_name(text);
  request.set_training_job_id(text);
  request.set_request_id(text);
  request.set_display_name(text);
  (*request.mutable_labels())[text] = text;
  client::Client client = Connect();
  EXPECT_THAT(Fields(client::FieldViolations(client.Submit(request).status())),
              UnorderedElementsAre("training_job_id", "request_id", "display_name", "labels",
                                   "labels", "spec.relu_network.dataset.name"));
  v1::ListTrainingJobsRequest list;
  list.set_filter(text);
  EXPECT_THAT(Fields(client::FieldViolations(client.List(list).status())), ElementsAre("filter"));
}

// Refused from the forecast alone: had the server tried, it would be gone.
TEST_F(Validation, SizesBeyondTheMemoryAreRefusedBeforeAnythingIsAllocated) {
  for (const char* text :
       {"relu_network { width: 100000000 dataset { name: 'datasets/digits' } } optimizer { "
        "polyak_momentum {} } plan: EXECUTION_PLAN_DENSE",
        "quadratic { spectrum { generated { dimension: 10000000 condition_number: 2 } } } "
        "optimizer "
        "{ gradient_descent {} } stopping { max_iterations: 1000000000 }",
        "deep_linear_network { width: 1000000000 depth: 1000 dataset { name: 'datasets/wine' } } "
        "optimizer { gradient_descent {} } plan: EXECUTION_PLAN_DENSE",
        "relu_network { width: 1 dataset { synthetic { examples: 100000 input_dimension: 100000 } "
        "} } optimizer { gradient_descent {} }"}) {
    const auto violations = Refused(Spec(text));
    ASSERT_EQ(violations.size(), 1u) << text;
    EXPECT_EQ(violations[0].field, "spec");
    EXPECT_THAT(violations[0].description, HasSubstr("MB of memory"));
    EXPECT_THAT(violations[0].description, HasSubstr("accepted: up to 1049 MB on this server"));
  }
}

// Numbers that are finite, and whose squares are not.
TEST_F(Validation, DataThatLeaveTheNumbersAreRefusedInEverySize) {
  for (const int columns : {1, 2, 1501}) {
    v1::TrainingJobSpec spec = Spec("optimizer { gradient_descent {} }");
    auto& data = *spec.mutable_quadratic()->mutable_least_squares()->mutable_dataset();
    data.mutable_inline_()->mutable_features()->set_rows(1);
    data.mutable_inline_()->mutable_features()->set_cols(columns);
    for (int k = 0; k < columns; ++k) {
      data.mutable_inline_()->mutable_features()->add_values(1e200);
    }
    data.mutable_inline_()->mutable_targets()->set_rows(1);
    data.mutable_inline_()->mutable_targets()->set_cols(1);
    data.mutable_inline_()->mutable_targets()->add_values(1);
    EXPECT_THAT(Fields(Refused(spec)), ElementsAre("spec.quadratic.least_squares")) << columns;
  }
}

TEST_F(Validation, TheLargestStrideIsReadAndWatched) {
  client::Client client = Connect();
  v1::CreateTrainingJobRequest create;
  *create.mutable_spec() = Spec(
      "quadratic { spectrum { generated { dimension: 2 condition_number: 2 } } } optimizer { "
      "gradient_descent {} } stopping { max_iterations: 10 }");
  const auto job = client.Submit(create);
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_TRUE(client.Wait(job->name(), absl::Seconds(60)).ok());
  v1::ReadIterationsRequest read;
  read.set_name(job->name());
  read.set_after_iteration(1);
  read.set_stride(std::numeric_limits<int64_t>::max());
  const auto page = client.ReadIterations(read);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(page->iterations().iteration(), ElementsAre(10));
  v1::WatchTrainingJobRequest watch;
  watch.set_name(job->name());
  watch.set_after_iteration(1);
  watch.set_stride(std::numeric_limits<int64_t>::max());
  client::WatchHandler handler;
  EXPECT_TRUE(client.Watch(watch, handler).ok());
}

}  // namespace
}  // namespace polyak
