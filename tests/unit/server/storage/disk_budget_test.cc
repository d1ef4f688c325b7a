#include "server/storage/disk_budget.h"

#include <memory>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"

namespace polyak::storage {
namespace {

using ::testing::HasSubstr;
using Mode = base::FileSystem::Mode;

class DiskBudgetTest : public ::testing::Test {
 protected:
  DiskBudgetTest() { EXPECT_TRUE(disk_.CreateDirectory("/jobs").ok()); }

  void Open(std::optional<int64_t> budget_bytes, int64_t reserve_bytes = 0) {
    auto budget = DiskBudget::Open(files_, {"/jobs", budget_bytes, reserve_bytes});
    ASSERT_TRUE(budget.ok()) << budget.status();
    budget_ = *std::move(budget);
  }
  // Makes a file of so many bytes.
  absl::Status Write(const std::string& path, int64_t size, Mode mode = Mode::kOverwrite) {
    auto file = budget_->Open(path, mode);
    return file.ok() ? (*file)->Write(0, std::string(static_cast<size_t>(size), 'x'))
                     : file.status();
  }
  int64_t Free() { return budget_->FreeBytes("/jobs").value(); }

  testing_support::SimulatedDisk disk_;
  testing_support::FaultyFileSystem files_{disk_};
  std::unique_ptr<DiskBudget> budget_;
};

TEST_F(DiskBudgetTest, FilesGrowUpToTheBudget) {
  Open(1000);
  EXPECT_TRUE(Write("/jobs/a", 600).ok());
  EXPECT_EQ(Free(), 400);
  EXPECT_TRUE(budget_->CheckRoom().ok());
  const absl::Status full = Write("/jobs/b", 401);
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_THAT(std::string{full.message()}, HasSubstr("take 0.0006 MB of the 0.001 MB"));
  EXPECT_EQ(Free(), 400);  // nothing was written
  EXPECT_TRUE(Write("/jobs/b", 400).ok());
  EXPECT_EQ(Free(), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(budget_->CheckRoom()));
}

TEST_F(DiskBudgetTest, WhatIsThereMayBeOverwrittenThoughNothingCanGrow) {
  Open(100);
  ASSERT_TRUE(Write("/jobs/a", 100).ok());
  EXPECT_TRUE(Write("/jobs/a", 100, Mode::kUpdate).ok());
  EXPECT_TRUE(Write("/jobs/a", 1, Mode::kUpdate).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Write("/jobs/a", 101, Mode::kUpdate)));
}

TEST_F(DiskBudgetTest, RemovingReplacingAndCuttingGiveRoomBack) {
  Open(1000);
  ASSERT_TRUE(Write("/jobs/a", 300).ok());
  ASSERT_TRUE(Write("/jobs/b", 200).ok());
  ASSERT_TRUE(budget_->Rename("/jobs/b", "/jobs/a").ok());
  EXPECT_EQ(Free(), 800);
  ASSERT_TRUE(budget_->Open("/jobs/a", Mode::kUpdate).value()->Truncate(50).ok());
  EXPECT_EQ(Free(), 950);
  ASSERT_TRUE(Write("/jobs/a", 20).ok());  // overwrites all of it
  EXPECT_EQ(Free(), 980);
  ASSERT_TRUE(budget_->Remove("/jobs/a").ok());
  EXPECT_EQ(Free(), 1000);
  EXPECT_TRUE(absl::IsNotFound(budget_->Remove("/jobs/a")));
  EXPECT_EQ(Free(), 1000);
}

TEST_F(DiskBudgetTest, AFileCountsUnderTheNameThatItHasNow) {
  Open(1000);
  auto file = budget_->Open("/jobs/a.new", Mode::kOverwrite);
  ASSERT_TRUE((*file)->Write(0, std::string(100, 'x')).ok());
  ASSERT_TRUE(budget_->Rename("/jobs/a.new", "/jobs/a").ok());
  ASSERT_TRUE((*file)->Write(100, std::string(300, 'x')).ok());
  EXPECT_EQ(Free(), 600);
  ASSERT_TRUE(budget_->Remove("/jobs/a").ok());
  EXPECT_EQ(Free(), 1000);
  ASSERT_TRUE((*file)->Write(400, std::string(100, 'x')).ok());  // gone when it is closed
  EXPECT_EQ(Free(), 1000);
}

TEST_F(DiskBudgetTest, CountsWhatAnEarlierProcessLeft) {
  Open(std::nullopt);
  ASSERT_TRUE(Write("/jobs/a", 300).ok());
  ASSERT_TRUE(Write("/jobs/b", 650).ok());
  Open(1000);
  EXPECT_EQ(Free(), 50);
  EXPECT_TRUE(budget_->nearly_spent());
  ASSERT_TRUE(budget_->Remove("/jobs/a").ok());
  EXPECT_EQ(Free(), 350);
  EXPECT_FALSE(budget_->nearly_spent());
}

TEST_F(DiskBudgetTest, AWriteThatFailsHalfWayCountsWhatItLeft) {
  Open(1000);
  ASSERT_TRUE(Write("/jobs/a", 100).ok());
  testing_support::FaultyFileSystem::Rule rule{testing_support::FaultyFileSystem::Call::kWrite};
  rule.fault.short_count = 30;
  files_.AddRule(rule);
  auto file = budget_->Open("/jobs/a", Mode::kUpdate);
  EXPECT_FALSE((*file)->Write(100, std::string(80, 'x')).ok());
  EXPECT_EQ(Free(), 1000 - 130);
}

TEST_F(DiskBudgetTest, AReserveOfTheDiskStaysFree) {
  files_.SetFreeBytes(1000);
  Open(std::nullopt, 400);
  EXPECT_TRUE(Write("/jobs/a", 600).ok());
  const absl::Status full = Write("/jobs/b", 1);
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_THAT(std::string{full.message()}, HasSubstr("0.0004 MB stay free"));
  EXPECT_TRUE(absl::IsResourceExhausted(budget_->CheckRoom()));
  EXPECT_FALSE(budget_->nearly_spent());  // no file of ours has to go for that
  files_.SetFreeBytes(401);
  EXPECT_TRUE(Write("/jobs/b", 1).ok());
}

TEST_F(DiskBudgetTest, ADirectoryThatIsNotThereYetIsEmpty) {
  auto budget = DiskBudget::Open(files_, {"/none", 10, 0});
  ASSERT_TRUE(budget.ok()) << budget.status();
}

}  // namespace
}  // namespace polyak::storage
