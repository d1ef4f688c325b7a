#include "gmock/gmock.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

class GetServerInfo : public ServiceTest {
 protected:
  GetServerInfo()
      : ServiceTest({.max_watchers = 17,
                     .max_message_bytes = 1 << 20,
                     .max_read_parameters = 19,
                     .disk_reserve_bytes = 23}) {}
};

TEST_F(GetServerInfo, PublishesWhatIsAccepted) {
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(
      Call(&v1::TrainingService::Stub::GetServerInfo, v1::GetServerInfoRequest(), info).ok());
  EXPECT_EQ(info.version(), POLYAK_VERSION);
  EXPECT_NE(info.build(), "");
  EXPECT_THAT(info.plans(), ::testing::UnorderedElementsAre(v1::EXECUTION_PLAN_DENSE,
                                                            v1::EXECUTION_PLAN_REDUCED));
  EXPECT_FALSE(info.jobs_survive_restart());
  const spec::Limits limits;
  EXPECT_EQ(info.limits().max_iterations(), limits.max_iterations);
  EXPECT_EQ(info.limits().max_dimension(), limits.max_dimension);
  EXPECT_EQ(info.limits().max_matrix_dimension(), limits.max_matrix_dimension);
  EXPECT_EQ(info.limits().max_examples(), limits.max_examples);
  EXPECT_EQ(info.limits().max_width(), limits.max_width);
  EXPECT_EQ(info.limits().max_depth(), limits.max_depth);
  EXPECT_EQ(info.limits().memory_bytes(), static_cast<int64_t>(limits.memory_bytes));
  EXPECT_EQ(info.limits().queue_capacity(), 1000);
  EXPECT_EQ(info.limits().workers(), 1);
  EXPECT_EQ(info.limits().max_message_bytes(), 1 << 20);
  EXPECT_EQ(info.limits().max_watchers(), 17);
  EXPECT_EQ(info.limits().max_read_parameters(), 19);
  EXPECT_EQ(info.limits().disk_bytes(), 0);  // as much as there is
  EXPECT_EQ(info.limits().disk_reserve_bytes(), 23);
  EXPECT_FALSE(info.limits().has_retention());  // for ever
  EXPECT_EQ(info.limits().max_duration().seconds(), 24 * 3600);
}

TEST_F(GetServerInfo, NamesTheDataSetsWithTheirShapes) {
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(
      Call(&v1::TrainingService::Stub::GetServerInfo, v1::GetServerInfoRequest(), info).ok());
  ASSERT_EQ(info.built_in_datasets_size(), 3);
  for (const auto& set : info.built_in_datasets()) {
    EXPECT_NE(set.description(), "");
    if (set.name() == "datasets/diabetes") {
      EXPECT_EQ(set.examples(), 442);
      EXPECT_EQ(set.input_dimension(), 10);
      EXPECT_EQ(set.output_dimension(), 1);
    }
  }
}

}  // namespace
}  // namespace polyak::service
