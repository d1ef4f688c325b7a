#include "server/storage/trace_repair.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/storage/trace_fixture.h"

// Whole repairs, by a run, are in tests/fault/healing_test.cc.

namespace polyak::storage {
namespace {

constexpr int64_t kRows = kBlockRows + 100;
constexpr char kCopy[] = "/data/jobs/u1.trace.new";

class TraceRepairTest : public ::testing::Test {
 protected:
  TraceRepairTest() {
    MakeDirectories(disk_);
    auto trace = FileTrace::Create(disk_, kPath, kUid, kColumns, std::string(5000, 'd')).value();
    AppendRows(*trace, 0, kRows);
    EXPECT_TRUE(Publish(*trace, kRows).ok());
    EXPECT_TRUE(trace->Sync().ok());
  }
  void Overwrite(int64_t offset, const std::string& bytes) {
    const auto file = disk_.Open(kPath, base::FileSystem::Mode::kUpdate).value();
    ASSERT_TRUE(file->Write(offset, bytes).ok());
  }
  TraceRemains Look() { return LookAtRemains(disk_, kPath, kUid, kColumns).value(); }
  absl::StatusOr<std::unique_ptr<TraceRepair>> Open(int64_t rows = kRows) {
    return FileTraceRepair::Open(disk_, kPath, kUid, kColumns, Look(), "another description", rows,
                                 Attempt());
  }

  testing_support::SimulatedDisk disk_;
};

TEST_F(TraceRepairTest, FindsWhatIsLeftOfAFile) {
  EXPECT_EQ(Look().description, std::string(5000, 'd'));
  EXPECT_EQ(Look().first_block, 8192);
  Overwrite(600, "x");  // in the description
  EXPECT_EQ(Look().description, std::nullopt);
  EXPECT_EQ(Look().first_block, 8192);
  Overwrite(0, "x");  // in the header
  EXPECT_EQ(Look().description, std::nullopt);
  EXPECT_EQ(Look().first_block, 8192);
  Overwrite(8192, std::string(512, 'x'));  // one of three heads
  EXPECT_EQ(Look().first_block, 8192);
  Overwrite(8192, std::string(2000, 'x'));
  EXPECT_EQ(Look().first_block, std::nullopt);
  ASSERT_TRUE(disk_.Remove(kPath).ok());
  EXPECT_EQ(Look().size, 0);
}

TEST_F(TraceRepairTest, TakesTheRecomputedRowsForTheDamagedOnesAndKeepsTheTimes) {
  const auto intact = FileTrace::OpenToRead(disk_, kPath, kUid, kRows).value();
  const double time = intact->ElapsedAt(500).value();
  Overwrite(0, "x");
  Overwrite(8192 + 3 * 512, std::string(100, 'x'));
  {
    const auto repair = Open().value();
    ASSERT_TRUE(repair->trace().Rewind(0).ok());
    AppendRows(repair->trace(), 0, kRows);
    ASSERT_TRUE(repair->trace().Publish(77).ok());
    ASSERT_TRUE(repair->trace().Sync().ok());
    EXPECT_FALSE(FileTrace::OpenToRead(disk_, kPath, kUid, kRows).ok());
    ASSERT_TRUE(repair->Commit().ok());
  }
  auto after = disk_.CrashAt(disk_.log_size());
  const auto mended = FileTrace::OpenToRead(after, kPath, kUid, kRows).value();
  EXPECT_TRUE(IsPrefix(*mended));
  EXPECT_EQ(mended->ElapsedAt(500).value(), time);
  EXPECT_EQ(mended->Digest().value(), intact->Digest().value());
  EXPECT_EQ(mended->ReadDescription().value(), "another description");
  EXPECT_FALSE(disk_.Exists(kCopy).value());
}

TEST_F(TraceRepairTest, OneThatIsGivenUpLeavesNothing) {
  {
    const auto repair = Open().value();
    EXPECT_TRUE(disk_.Exists(kCopy).value());
  }
  EXPECT_FALSE(disk_.Exists(kCopy).value());
  EXPECT_TRUE(FileTrace::OpenToRead(disk_, kPath, kUid, kRows).ok());
}

TEST_F(TraceRepairTest, AJobOfFewerRowsThanItsTraceIsLeftAlone) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(kRows - 1).status()));
  EXPECT_FALSE(disk_.Exists(kCopy).value());
}

// A job that is deleted meanwhile does not come back.
TEST_F(TraceRepairTest, WithoutItsCopyNothingIsPutInPlace) {
  const auto repair = Open().value();
  ASSERT_TRUE(repair->trace().Rewind(kRows).ok());
  ASSERT_TRUE(disk_.Remove(kCopy).ok());
  ASSERT_TRUE(disk_.Remove(kPath).ok());
  EXPECT_TRUE(absl::IsNotFound(repair->Commit()));
  EXPECT_FALSE(disk_.Exists(kPath).value());
}

}  // namespace
}  // namespace polyak::storage
