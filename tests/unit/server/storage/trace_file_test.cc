#include "server/storage/trace_file.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::FaultyFileSystem;
using testing_support::SimulatedDisk;

class TraceFileTest : public ::testing::Test {
 protected:
  TraceFileTest() {
    MakeDirectories(disk_);
    file_ = TraceFile::Create(files_, kPath, kUid, kColumns, "about").value();
    block_ = std::make_unique<TraceBlock>(file_->layout(), file_->uid_hash(), 1);
    for (int c = 0; c < kColumns; ++c) {
      for (int64_t k = 0; k < kBlockRows; ++k) {
        block_->column(c)[k] = Cell(FirstRowOf(1) + k, c);
      }
    }
  }
  absl::Status StoreUpTo(int64_t count) {
    return file_->Store(ExtendHead(block_->head, *block_, count, {}), block_->head.count, *block_);
  }
  // Counts of the heads by slot, 0 where there is none.
  std::vector<int64_t> Slots() const {
    std::vector<int64_t> counts(kHeadSlots);
    const auto heads = file_->ReadHeads(1).value();
    for (const auto& found : heads) {
      counts[static_cast<size_t>(found.slot)] = found.head.count;
    }
    return counts;
  }

  SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
  std::unique_ptr<TraceFile> file_;
  std::unique_ptr<TraceBlock> block_;
};

TEST_F(TraceFileTest, IsFoundAgainByTheUidOfItsJob) {
  using Mode = base::FileSystem::Mode;
  const auto file = TraceFile::Open(disk_, kPath, kUid, Mode::kRead);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->ReadDescription().value(), "about");
  EXPECT_EQ((*file)->layout().columns, kColumns);
  EXPECT_EQ((*file)->CountBlocks().value(), 0);
  EXPECT_TRUE(absl::IsDataLoss(TraceFile::Open(disk_, kPath, "u2", Mode::kRead).status()));
  EXPECT_TRUE(absl::IsNotFound(TraceFile::Open(disk_, "/data/x", kUid, Mode::kRead).status()));
  EXPECT_TRUE(absl::IsAlreadyExists(TraceFile::Create(disk_, kPath, kUid, kColumns, "").status()));
  EXPECT_FALSE(disk_.Exists(std::string(kPath) + ".new").value());
}

TEST_F(TraceFileTest, ANewHeadGoesToASlotThatHoldsNeitherTheNewestNorTheDurableOne) {
  ASSERT_TRUE(StoreUpTo(10).ok());
  EXPECT_EQ(Slots(), (std::vector<int64_t>{10, 0, 0}));
  block_->durable_slot = block_->newest_slot;
  ASSERT_TRUE(StoreUpTo(20).ok());
  ASSERT_TRUE(StoreUpTo(30).ok());
  EXPECT_EQ(Slots(), (std::vector<int64_t>{10, 20, 30}));
  ASSERT_TRUE(StoreUpTo(40).ok());
  EXPECT_EQ(Slots(), (std::vector<int64_t>{10, 40, 30}));
  block_->durable_slot = block_->newest_slot;
  ASSERT_TRUE(StoreUpTo(50).ok());
  EXPECT_EQ(Slots(), (std::vector<int64_t>{50, 40, 30}));
  ASSERT_TRUE(StoreUpTo(60).ok());
  EXPECT_EQ(Slots(), (std::vector<int64_t>{50, 40, 60}));
}

TEST_F(TraceFileTest, AFullBlockHasItsHeadTwiceBesideTheDurableOne) {
  ASSERT_TRUE(StoreUpTo(10).ok());
  block_->durable_slot = block_->newest_slot;
  ASSERT_TRUE(StoreUpTo(kBlockRows).ok());
  EXPECT_EQ(Slots(), (std::vector<int64_t>{10, 1024, 1024}));
}

TEST_F(TraceFileTest, ABlockThatIsFullAtOnceIsOneWrite) {
  const int64_t before = files_.calls(FaultyFileSystem::Call::kWrite);
  ASSERT_TRUE(StoreUpTo(kBlockRows).ok());
  EXPECT_EQ(files_.calls(FaultyFileSystem::Call::kWrite), before + 1);
  EXPECT_EQ(Slots(), (std::vector<int64_t>{1024, 1024, 1024}));
}

TEST_F(TraceFileTest, AFailureLeavesTheNewestHeadAndTheCallCanBeMadeAgain) {
  ASSERT_TRUE(StoreUpTo(10).ok());
  for (int64_t nth = 1; nth <= 4; ++nth) {
    const size_t rule = files_.AddRule({FaultyFileSystem::Call::kWrite, "", nth, 1, {}});
    const bool stored = StoreUpTo(kBlockRows).ok();
    EXPECT_FALSE(stored);
    EXPECT_EQ(files_.fired(rule), 1);
    TraceBlock read(file_->layout(), file_->uid_hash(), 1);
    EXPECT_TRUE(file_->ReadBlock(1, 10, read).ok());
    EXPECT_EQ(read.head.count, block_->head.count);
    files_.ClearRules();
    if (block_->head.count == kBlockRows) {
      EXPECT_EQ(nth, 4);  // only the copy is missing
    }
  }
}

TEST_F(TraceFileTest, ReadsWhatTheNewestHeadThatFitsCovers) {
  ASSERT_TRUE(StoreUpTo(10).ok());
  ASSERT_TRUE(StoreUpTo(20).ok());
  TraceBlock read(file_->layout(), file_->uid_hash(), 0);
  ASSERT_TRUE(file_->ReadBlock(1, 15, read).ok());
  EXPECT_EQ(read.head.count, 20);
  EXPECT_EQ(read.newest_slot, 1);
  EXPECT_TRUE(SameBits(read.column(1, 20)[19], Cell(1024 + 19, 1)));
  std::vector<double> values;
  ASSERT_TRUE(file_->ReadColumn(1, 1, 15, values).ok());
  EXPECT_EQ(values.size(), 15U);
  EXPECT_TRUE(SameBits(values[14], Cell(1024 + 14, 1)));
  EXPECT_TRUE(absl::IsDataLoss(file_->ReadBlock(1, 21, read)));
  EXPECT_TRUE(absl::IsDataLoss(file_->ReadColumn(1, 0, 21, values)));
  EXPECT_TRUE(absl::IsDataLoss(file_->ReadHead(1, 21).status()));
  EXPECT_TRUE(absl::IsDataLoss(file_->ReadBlock(0, 1, read)));
  EXPECT_TRUE(absl::IsDataLoss(file_->ReadBlock(99, 1, read)));

  // Rows of the newest head are damaged, those of the one before are not.
  const auto raw = disk_.Open(kPath, base::FileSystem::Mode::kUpdate).value();
  ASSERT_TRUE(
      raw->Write(4096 + file_->layout().block_bytes() + file_->layout().column_offset(1) + 15 * 8,
                 "x")
          .ok());
  ASSERT_TRUE(file_->ReadBlock(1, 10, read).ok());
  EXPECT_EQ(read.head.count, 10);
  ASSERT_TRUE(file_->ReadColumn(1, 1, 10, values).ok());
  ASSERT_TRUE(file_->ReadColumn(1, 0, 20, values).ok());  // the other column is whole
  const absl::Status status = file_->ReadColumn(1, 1, 11, values);
  EXPECT_EQ(std::string{status.message()},
            "rows 1024 to 1034 (block 1) of /data/jobs/u1.trace: the checksum of column 1 is "
            "wrong");
}

TEST_F(TraceFileTest, CutsWhatLiesBehind) {
  ASSERT_TRUE(StoreUpTo(kBlockRows).ok());
  EXPECT_EQ(file_->CountBlocks().value(), 2);
  EXPECT_FALSE(file_->CutBehind(2).value());
  EXPECT_TRUE(file_->CutBehind(1).value());
  EXPECT_EQ(file_->CountBlocks().value(), 1);
}

TEST_F(TraceFileTest, ADamagedDescriptionIsNoticed) {
  const auto raw = disk_.Open(kPath, base::FileSystem::Mode::kUpdate).value();
  ASSERT_TRUE(raw->Write(kTraceHeaderBytes + 2, "x").ok());
  EXPECT_TRUE(absl::IsDataLoss(file_->ReadDescription().status()));
}

}  // namespace
}  // namespace polyak::storage
