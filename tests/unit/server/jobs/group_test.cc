#include "server/jobs/group.h"

#include <string>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace polyak::jobs {
namespace {

constexpr char kMatrix[] = "quadratic { matrix { rows: 2 cols: 2 values: [2, 1, 1, 2] } ";
constexpr char kData[] = "quadratic { least_squares { dataset { name: 'datasets/diabetes' } } } ";

std::string KeyOf(const std::string& spec, v1::ExecutionPlan plan = v1::EXECUTION_PLAN_DENSE) {
  v1::TrainingJob job;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec, job.mutable_spec())) << spec;
  job.mutable_resolution()->set_plan(plan);
  job.mutable_resolution()->set_seed(job.spec().seed());
  return GroupKey(job);
}

TEST(GroupKey, IsThatOfTheMatrixWhateverElseDiffers) {
  const std::string key = KeyOf(std::string(kMatrix) + "}");
  EXPECT_NE(key, "");
  for (const char* const rest :
       {"} optimizer { polyak_momentum { step_size: 1 } }", "} seed: 4", "initial_point: [1, 2] }",
        "linear_term: [3, 4] }", "} stopping { max_iterations: 3 }"}) {
    EXPECT_EQ(KeyOf(std::string(kMatrix) + rest), key) << rest;
  }
  EXPECT_NE(KeyOf("quadratic { matrix { rows: 2 cols: 2 values: [2, 1, 1, 3] } }"), key);
}

TEST(GroupKey, OfDataIsThatOfTheirSpecAndOfTheSeedThatDrawsThem) {
  const std::string key = KeyOf(kData);
  EXPECT_NE(key, "");
  EXPECT_EQ(KeyOf(std::string(kData) + "optimizer { gradient_descent {} }"), key);
  EXPECT_EQ(KeyOf(std::string(kData) + "seed: 4"), key);
  const auto of_drawn = [](const std::string& seed_of_data, const std::string& seed) {
    return KeyOf("quadratic { least_squares { dataset { synthetic { examples: 9 " + seed_of_data +
                 " } } } } " + seed);
  };
  EXPECT_NE(of_drawn("", "seed: 4"), of_drawn("", "seed: 5"));
  EXPECT_EQ(of_drawn("seed: 1", "seed: 4"), of_drawn("seed: 1", "seed: 5"));
}

TEST(GroupKey, IsNoneWhereAJobRunsByItself) {
  EXPECT_EQ(KeyOf(std::string(kMatrix) + "}", v1::EXECUTION_PLAN_REDUCED), "");
  EXPECT_EQ(KeyOf(std::string(kMatrix) + "} stopping { max_duration { seconds: 3 } }"), "");
  EXPECT_EQ(KeyOf("quadratic { spectrum { explicit { eigenvalues: 1 } } }"), "");
  EXPECT_EQ(KeyOf("relu_network { width: 4 }"), "");
}

TEST(GroupSize, LeavesOtherWorkersTheirShare) {
  EXPECT_EQ(GroupSize(1, 0), 1);
  EXPECT_EQ(GroupSize(1, 7), 1);
  EXPECT_EQ(GroupSize(10, 0), 10);
  EXPECT_EQ(GroupSize(10, 1), 5);
  EXPECT_EQ(GroupSize(11, 1), 6);
  EXPECT_EQ(GroupSize(2, 5), 1);
  EXPECT_EQ(GroupSize(1000, 0), 64);
  EXPECT_EQ(GroupSize(128, 1), 64);
}

TEST(GroupMax, LeavesMostFileDescriptorsForOthers) {
  EXPECT_EQ(GroupMax(1'000'000, 2), 64);
  EXPECT_EQ(GroupMax(1024, 2), 64);
  EXPECT_EQ(GroupMax(1024, 8), 32);
  EXPECT_EQ(GroupMax(256, 2), 32);
  EXPECT_EQ(GroupMax(64, 64), 1);
  EXPECT_EQ(GroupMax(3, 1), 1);
}

}  // namespace
}  // namespace polyak::jobs
