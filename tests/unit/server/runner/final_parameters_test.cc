#include "server/runner/final_parameters.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "server/runner/runner.h"
#include "server/storage/file_run_store.h"
#include "server/storage/memory_run_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/runner/prepared.h"

namespace polyak::runner {
namespace {

using ::testing::HasSubstr;
using testing_support::FakeClock;

// Exact in binary: w_i shrinks by 1 - lambda_i / 4 a step.
constexpr char kSpec[] =
    "quadratic { spectrum { explicit { eigenvalues: [1, 2] } } initial_point: [1, 1] } "
    "optimizer { gradient_descent { step_size: 0.25 } } stopping { max_iterations: 3 } "
    "plan: EXECUTION_PLAN_DENSE";

// Memory is always there; what was asked for is kept.
ComputedValues Computed(int64_t dimension_max, double* reserved = nullptr) {
  return {dimension_max, [reserved](double bytes) {
            if (reserved != nullptr) {
              *reserved = bytes;
            }
            return std::make_shared<const int>(0);
          }};
}

class FinalParametersTest : public ::testing::Test {
 protected:
  FinalParametersTest() {
    EXPECT_TRUE(disk_.CreateDirectory("/data").ok());
    storage::FileRunStore::Options options;
    options.columns = engine::kTraceColumns;
    store_ = storage::FileRunStore::Open(disk_, "/data", options).value();
    job_.set_name("trainingJobs/a");
    job_.set_uid("u");
    *job_.mutable_spec() = SpecOf(kSpec);
  }

  void Run(const std::string& spec = kSpec) {
    *job_.mutable_spec() = SpecOf(spec);
    const auto trace = store_->OpenTrace(job_).value();
    const FakeClock clock(0.001);
    const base::StopToken never;
    RunContext context{job_.uid(), *store_, *trace, never, never, clock};
    const auto result = runner::Run(*PreparedOf(spec), context);
    ASSERT_TRUE(result.ok()) << result.status();
    *job_.mutable_summary() = result->summary;
  }

  absl::StatusOr<FinalParameters> Open() const {
    return OpenFinalParameters(job_, *store_, Computed(0));
  }

  testing_support::SimulatedDisk disk_;
  std::unique_ptr<storage::FileRunStore> store_;
  v1::TrainingJob job_;
};

TEST_F(FinalParametersTest, AreTheIterateOfTheLastRecord) {
  Run();
  auto parameters = Open();
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  EXPECT_EQ(parameters->iteration, 3);
  EXPECT_EQ(parameters->dimension, 2);
  ASSERT_EQ(parameters->matrices.size(), 1);
  EXPECT_EQ(parameters->matrices[0].name, "w");
  EXPECT_EQ(parameters->values->ReadDouble(), 27.0 / 64);
  EXPECT_EQ(parameters->values->ReadDouble(), 1.0 / 8);
  EXPECT_TRUE(parameters->values->status().ok());
  EXPECT_TRUE(parameters->CheckAll().ok());
}

TEST_F(FinalParametersTest, ThatHaveChangedSinceTheyWereOpenedAreNoticed) {
  // More than is read ahead.
  Run("quadratic { spectrum { generated { dimension: 200000 condition_number: 10 } } } "
      "optimizer { gradient_descent {} } stopping { max_iterations: 1 } "
      "plan: EXECUTION_PLAN_DENSE");
  auto parameters = Open();
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  auto file = disk_.Open("/data/jobs/u.checkpoint", base::FileSystem::Mode::kUpdate);
  const int64_t last = (*file)->Size().value() - 1;
  ASSERT_TRUE((*file)->Write(last, "x").ok());
  for (int64_t k = 0; k < parameters->dimension; ++k) {
    parameters->values->ReadDouble();
  }
  EXPECT_TRUE(absl::IsDataLoss(parameters->CheckAll()));
}

constexpr char kReducedSpec[] =
    "quadratic { matrix { rows: 2 cols: 2 values: [2, 1, 1, 2] } initial_point: [2, 0] } "
    "optimizer { gradient_descent { step_size: 0.25 } } stopping { max_iterations: 3 } "
    "plan: EXECUTION_PLAN_REDUCED";

TEST_F(FinalParametersTest, AreComputedWhereThePlanKeptOtherCoordinates) {
  Run(kReducedSpec);
  double reserved = 0;
  auto parameters = OpenFinalParameters(job_, *store_, Computed(2, &reserved));
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  EXPECT_EQ(parameters->dimension, 2);
  // (1, 1) shrinks by 1/4 a step, (1, -1) by 3/4.
  const double sum = 1.0 / 64;
  const double difference = 27.0 / 64;
  EXPECT_NEAR(parameters->values->ReadDouble(), sum + difference, 1e-15);
  EXPECT_NEAR(parameters->values->ReadDouble(), sum - difference, 1e-15);
  EXPECT_TRUE(parameters->CheckAll().ok());
  EXPECT_GT(reserved, 2 * 8);
}

TEST_F(FinalParametersTest, AreNotComputedWhereTheyWouldBeTooMany) {
  Run(kReducedSpec);
  const auto parameters = OpenFinalParameters(job_, *store_, Computed(1));
  ASSERT_TRUE(parameters.ok()) << parameters.status();
  EXPECT_EQ(parameters->dimension, 2);
  EXPECT_EQ(parameters->values, nullptr);
}

TEST_F(FinalParametersTest, AreNotComputedWithoutTheMemory) {
  Run(kReducedSpec);
  const auto parameters = OpenFinalParameters(
      job_, *store_, {2, [](double /*bytes*/) { return absl::ResourceExhaustedError("full"); }});
  EXPECT_TRUE(absl::IsResourceExhausted(parameters.status())) << parameters.status();
}

TEST_F(FinalParametersTest, AreNotThoseOfAnEarlierRecord) {
  Run();
  job_.mutable_summary()->set_iterations(4);  // as if the last checkpoint had found no room
  const auto parameters = Open();
  EXPECT_TRUE(absl::IsNotFound(parameters.status())) << parameters.status();
  EXPECT_THAT(parameters.status().message(), HasSubstr("of iteration 3"));
}

TEST_F(FinalParametersTest, ThatAreDamagedAreNotSaidToBeMissing) {
  Run();
  const auto damage = [this](const std::string& path) {
    auto file = disk_.Open(path, base::FileSystem::Mode::kUpdate).value();
    ASSERT_TRUE(file->Write(file->Size().value() - 1, "x").ok());
  };
  const auto message = [this] {
    const absl::Status status = Open().status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    return std::string{status.message()};
  };
  // With one before that is whole, and without.
  ASSERT_TRUE(
      store_->WriteCheckpoint("u", 4, 0, [](base::ByteSink& sink) { sink.WriteInt(1); }).ok());
  job_.mutable_summary()->set_iterations(4);
  damage("/data/jobs/u.checkpoint");
  EXPECT_THAT(message(), HasSubstr("the last checkpoint of trainingJobs/a is damaged: "));
  damage("/data/jobs/u.checkpoint.previous");
  EXPECT_THAT(message(), HasSubstr("the payload's CRC is wrong"));
}

TEST_F(FinalParametersTest, OfAFailedJobAreMissingForItsReason) {
  job_.mutable_error()->set_message("the values of datasets/x are damaged");
  const absl::Status status = Open().status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_EQ(status.message(),
            "trainingJobs/a failed, and its final iterate is not kept: the values of datasets/x "
            "are damaged");
}

TEST_F(FinalParametersTest, AreThoseOfTheSpec) {
  Run();
  job_.mutable_spec()
      ->mutable_quadratic()
      ->mutable_spectrum()
      ->mutable_explicit_()
      ->add_eigenvalues(3);
  job_.mutable_spec()->mutable_quadratic()->add_initial_point(1);
  const auto parameters = Open();
  EXPECT_TRUE(absl::IsDataLoss(parameters.status())) << parameters.status();
  EXPECT_THAT(parameters.status().message(), HasSubstr("holds 2 values; its spec has 3"));
}

TEST_F(FinalParametersTest, AreMissingWhereNothingRanOrNothingIsKept) {
  EXPECT_TRUE(absl::IsNotFound(Open().status()));
  Run();
  const storage::MemoryRunStore memory(engine::kTraceColumns);
  EXPECT_TRUE(absl::IsNotFound(OpenFinalParameters(job_, memory, Computed(0)).status()));
}

}  // namespace
}  // namespace polyak::runner
