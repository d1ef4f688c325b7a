#include <cmath>
#include <memory>
#include <numeric>

#include "gmock/gmock.h"
#include "server/storage/file_run_store.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Before the service, which uses it.
struct RunsOnDisk {
  RunsOnDisk() {
    EXPECT_TRUE(disk.CreateDirectory("/data").ok());
    storage::FileRunStore::Options options;
    options.columns = engine::kTraceColumns;
    runs = storage::FileRunStore::Open(disk, "/data", options).value();
  }

  testing_support::SimulatedDisk disk;
  std::unique_ptr<storage::FileRunStore> runs;
};

class ReadParametersTest : protected RunsOnDisk, public ServiceTest {
 protected:
  explicit ReadParametersTest(const ServiceOptions& options = {})
      : ServiceTest(options, runs.get()) {}

  grpc::Status Read(const std::string& name) {
    blocks_.clear();
    values_.clear();
    v1::ReadParametersRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const auto reader = stub_->ReadParameters(&context, request);
    v1::ReadParametersResponse block;
    while (reader->Read(&block)) {
      EXPECT_EQ(block.first_value(), static_cast<int64_t>(values_.size()));
      EXPECT_EQ(block.matrices_size() > 0, blocks_.empty());
      values_.insert(values_.end(), block.values().begin(), block.values().end());
      blocks_.push_back(block);
    }
    return reader->Finish();
  }
  std::string TrainToTheEnd(const std::string& spec, const std::string& id) {
    const std::string name = Create(spec, id);
    Wait(name);
    return name;
  }

  std::vector<v1::ReadParametersResponse> blocks_;
  std::vector<double> values_;  // of all blocks
};

TEST_F(ReadParametersTest, GivesTheIterateOfTheLastRecord) {
  // Exact in binary: w_i shrinks by 1 - lambda_i / 4 a step.
  const std::string name = TrainToTheEnd(
      "quadratic { spectrum { explicit { eigenvalues: [1, 2] } } initial_point: [1, 1] } "
      "optimizer { gradient_descent { step_size: 0.25 } } stopping { max_iterations: 3 }",
      "a");
  ASSERT_TRUE(Read(name).ok());
  ASSERT_EQ(blocks_.size(), 1);
  EXPECT_EQ(blocks_[0].iteration(), 3);
  ASSERT_EQ(blocks_[0].matrices_size(), 1);
  EXPECT_EQ(blocks_[0].matrices(0).name(), "w");
  EXPECT_EQ(blocks_[0].matrices(0).rows(), 2);
  EXPECT_EQ(blocks_[0].matrices(0).cols(), 1);
  EXPECT_THAT(values_, ElementsAre(27.0 / 64, 1.0 / 8));
}

TEST_F(ReadParametersTest, GivesMatricesColumnByColumn) {
  const std::string network = TrainToTheEnd(
      "relu_network { dataset { inline { features { rows: 1 cols: 2 values: [1, 0] } "
      "targets { rows: 1 cols: 1 values: [1] } } } width: 3 "
      "initial_hidden_weights { rows: 3 cols: 2 values: [1, 2, 3, 4, 5, 6] } "
      "output_weights: [1, 1, -1] } optimizer { gradient_descent { step_size: 1 } } "
      "stopping { max_iterations: 0 }",
      "relu");
  ASSERT_TRUE(Read(network).ok());
  EXPECT_EQ(blocks_[0].matrices(0).name(), "W");
  EXPECT_THAT(values_, ElementsAre(1, 3, 5, 2, 4, 6));

  const std::string deep = TrainToTheEnd(
      "deep_linear_network { dataset { inline { features { rows: 2 cols: 2 values: [1, 0, 0, 1] } "
      "targets { rows: 2 cols: 1 values: [1, 2] } } } width: 3 depth: 2 "
      "initial_weights { rows: 3 cols: 2 values: [1, 2, 3, 4, 5, 6] } "
      "initial_weights { rows: 1 cols: 3 values: [7, 8, 9] } } "
      "optimizer { gradient_descent { step_size: 0.01 } } stopping { max_iterations: 0 }",
      "deep");
  ASSERT_TRUE(Read(deep).ok());
  ASSERT_EQ(blocks_[0].matrices_size(), 2);
  EXPECT_EQ(blocks_[0].matrices(0).name(), "W_1");
  EXPECT_EQ(blocks_[0].matrices(1).name(), "W_2");
  EXPECT_EQ(blocks_[0].matrices(1).rows(), 1);
  EXPECT_EQ(blocks_[0].matrices(1).cols(), 3);
  EXPECT_THAT(values_, ElementsAre(1, 3, 5, 2, 4, 6, 7, 8, 9));
}

constexpr char kLarge[] =
    "quadratic { spectrum { generated { dimension: 100000 condition_number: 10 } } } "
    "optimizer { polyak_momentum {} } stopping { max_iterations: 2 }";

TEST_F(ReadParametersTest, CutsManyValuesIntoBlocks) {
  const std::string name = TrainToTheEnd(kLarge, "a");
  ASSERT_TRUE(Read(name).ok());
  EXPECT_EQ(blocks_.size(), 4);
  ASSERT_EQ(values_.size(), 100'000);
  // With b = 0 the residual is the iterate itself.
  v1::ReadIterationsRequest request;
  request.set_name(name);
  request.set_after_iteration(1);
  v1::ReadIterationsResponse last;
  ASSERT_TRUE(Call(&v1::TrainingService::Stub::ReadIterations, request, last).ok());
  const double norm =
      std::sqrt(std::inner_product(values_.begin(), values_.end(), values_.begin(), 0.0));
  EXPECT_NEAR(norm / last.iterations().residual_norm(0), 1, 1e-11);  // d eps
}

TEST_F(ReadParametersTest, DamageIsToldAsWhatItIs) {
  const std::string name = TrainToTheEnd(kLarge, "a");
  v1::GetTrainingJobRequest request;
  request.set_name(name);
  v1::GetTrainingJobResponse job;
  ASSERT_TRUE(Call(&v1::TrainingService::Stub::GetTrainingJob, request, job).ok());
  const std::string path = "/data/jobs/" + job.training_job().uid() + ".checkpoint";
  auto file = disk.Open(path, base::FileSystem::Mode::kUpdate);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE((*file)->Write(500'000, "damage").ok());
  const grpc::Status status = Read(name);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(ReasonOf(status), "DATA_DAMAGED");
  EXPECT_THAT(status.error_message(), HasSubstr("CRC"));
}

TEST_F(ReadParametersTest, RefusesAnActiveJobAndAnUnknownOne) {
  const std::string name = Create(kEndless, "a");
  grpc::Status status = Read(name);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "JOB_ACTIVE");
  EXPECT_TRUE(Cancel(name).ok());
  status = Read("trainingJobs/unknown");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  status = Read("unknown");
  EXPECT_EQ(FieldsOf(status), std::vector<std::string>{"name"});
}

class FewParameters : public ReadParametersTest {
 protected:
  FewParameters() : ReadParametersTest({.max_watchers = 1, .max_read_parameters = 99'999}) {}
};

TEST_F(FewParameters, RefusesMoreThanThePublishedNumber) {
  const std::string name = TrainToTheEnd(kLarge, "a");
  const grpc::Status status = Read(name);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "TOO_MANY_PARAMETERS");
  EXPECT_THAT(status.error_message(), HasSubstr("accepted: up to 99999"));
}

TEST_F(FewParameters, GivesItsPlaceAmongTheStreamsBack) {
  const std::string name = TrainToTheEnd(kShort, "a");
  for (int k = 0; k < 5; ++k) {
    const grpc::Status status = Read(name);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
}

TEST_F(ServiceTest, AServerThatKeepsRunsInMemoryHasNoParameters) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  v1::ReadParametersRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  const auto reader = stub_->ReadParameters(&context, request);
  v1::ReadParametersResponse block;
  EXPECT_FALSE(reader->Read(&block));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("--data-dir"));
}

}  // namespace
}  // namespace polyak::service
