#include "server/storage/found_runs.h"

#include <array>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/file_run_store.h"
#include "tests/support/simulated_disk.h"

namespace polyak::storage {
namespace {

using ::testing::ElementsAre;

class FoundRunsTest : public ::testing::Test {
 protected:
  FoundRunsTest() {
    EXPECT_TRUE(disk_.CreateDirectory("/data").ok());
    FileRunStore::Options options;
    options.columns = 1;
    options.machine = {"build", "processor", 1};
    store_ = FileRunStore::Open(disk_, "/data", options).value();
  }
  void Make(const std::string& uid, int64_t records) {
    v1::TrainingJob job;
    job.set_name("trainingJobs/" + uid);
    job.set_uid(uid);
    const auto trace = store_->OpenTrace(job).value();
    trace->Reserve(records);
    for (int64_t k = 0; k < records; ++k) {
      trace->Append(std::array{1.0});
    }
    EXPECT_TRUE(trace->Publish(1).ok());
  }

  testing_support::SimulatedDisk disk_;
  std::unique_ptr<FileRunStore> store_;
};

TEST_F(FoundRunsTest, ATraceSaysItsJobAndHowManyRecordsItHas) {
  Make("a", 1500);
  Make("b", 0);
  Make("c", 3);
  ASSERT_TRUE(store_->SetAside("c").ok());
  const auto file = disk_.Open("/data/jobs/bad.trace", base::FileSystem::Mode::kCreate).value();
  ASSERT_TRUE(file->Write(0, "no trace").ok());
  const auto runs = FindRuns(disk_, "/data").value();
  ASSERT_EQ(runs.size(), 4u);
  EXPECT_EQ(runs[0].job->name(), "trainingJobs/a");
  EXPECT_EQ(runs[0].records, 1500);
  EXPECT_EQ(runs[1].records, 0);
  EXPECT_EQ(runs[2].uid, "bad");
  EXPECT_TRUE(absl::IsDataLoss(runs[2].job.status()));
  EXPECT_FALSE(runs[2].is_lost);
  EXPECT_EQ(runs[3].job->uid(), "c");
  EXPECT_TRUE(runs[3].is_lost);
}

TEST_F(FoundRunsTest, WithoutFoldersThereIsNothing) {
  ASSERT_TRUE(disk_.CreateDirectory("/other").ok());
  EXPECT_TRUE(FindRuns(disk_, "/other")->empty());
}

TEST_F(FoundRunsTest, ALostRunIsBroughtBackUnlessItsPlaceIsTaken) {
  Make("a", 3);
  ASSERT_TRUE(
      store_->WriteCheckpoint("a", 2, 0, [](base::ByteSink& sink) { sink.WriteInt(1); }).ok());
  ASSERT_TRUE(store_->SetAside("a").ok());
  ASSERT_TRUE(BringBack(disk_, "/data", "a").ok());
  EXPECT_THAT(*disk_.List("/data/jobs"), ElementsAre("a.checkpoint", "a.trace"));
  EXPECT_TRUE(disk_.List("/data/lost")->empty());
  EXPECT_TRUE(absl::IsAlreadyExists(BringBack(disk_, "/data", "a")));
}

}  // namespace
}  // namespace polyak::storage
