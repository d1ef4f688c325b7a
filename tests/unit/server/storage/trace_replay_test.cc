#include "server/storage/trace_replay.h"

#include <cmath>
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

// Traces of 2,148 rows that go on from an earlier row.
class TraceReplayTest : public ::testing::Test {
 protected:
  static constexpr int64_t kRows = 2 * kBlockRows + 100;
  TraceReplayTest() {
    MakeDirectories(disk_);
    auto trace = FileTrace::Create(disk_, kPath, kUid, kColumns, "").value();
    AppendRows(*trace, 0, kRows);
    EXPECT_TRUE(Publish(*trace, kRows).ok());
    EXPECT_TRUE(trace->Sync().ok());
    trace_ = FileTrace::OpenToWrite(files_, kPath, kUid, kRows).value();
  }
  // Appends rows in which one cell is another.
  void AppendWithOne(int64_t from, int64_t to, int64_t changed, double value) {
    trace_->Reserve(to - from);
    for (int64_t row = from; row < to; ++row) {
      trace_->Append(std::vector<double>{Cell(row, 0), row == changed ? value : Cell(row, 1)});
    }
  }
  void SpoilHeads(int64_t block) {
    const BlockLayout layout = {kColumns};
    const auto raw = disk_.Open(kPath, base::FileSystem::Mode::kUpdate).value();
    ASSERT_TRUE(raw->Write(4096 + block * layout.block_bytes(), std::string(1536, 'x')).ok());
  }

  SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
  std::unique_ptr<FileTrace> trace_;
};

TEST_F(TraceReplayTest, EqualRowsAreNotStoredAgainAndNewOnesFollow) {
  for (const int64_t from : {int64_t{0}, int64_t{5}, kBlockRows, kRows - 1, kRows}) {
    trace_ = FileTrace::OpenToWrite(files_, kPath, kUid, kRows).value();
    const int64_t end = trace_->row_count();
    ASSERT_TRUE(trace_->Rewind(from).ok());
    const size_t before = disk_.log_size();
    for (int64_t row = from; row < end; row += 77) {
      AppendRows(*trace_, row, std::min(row + 77, end));
      ASSERT_TRUE(Publish(*trace_, row).ok());
      EXPECT_EQ(trace_->row_count(), end);
      EXPECT_TRUE(IsPrefix(*trace_));
    }
    EXPECT_EQ(disk_.log_size(), before);
    AppendRows(*trace_, end, end + 3);
    ASSERT_TRUE(Publish(*trace_, end + 3).ok());
    EXPECT_EQ(trace_->row_count(), end + 3);
    EXPECT_TRUE(IsPrefix(*trace_));
  }
}

TEST_F(TraceReplayTest, ASliceMayBeginBeforeTheOldEndAndEndBehindIt) {
  ASSERT_TRUE(trace_->Rewind(1000).ok());
  AppendRows(*trace_, 1000, kRows + 5000);
  ASSERT_TRUE(Publish(*trace_, kRows + 5000).ok());
  EXPECT_EQ(trace_->row_count(), kRows + 5000);
  EXPECT_TRUE(IsPrefix(*trace_));
}

TEST_F(TraceReplayTest, OneBitThatDiffersFailsTheRunAndNamesRowAndColumn) {
  ASSERT_TRUE(trace_->Rewind(1000).ok());
  AppendWithOne(1000, kRows + 10, 1500, std::nextafter(Cell(1500, 1), 2));
  const absl::Status status = Publish(*trace_, kRows + 10);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_NE(status.message().find("row 1500, column 1: recomputed"), absl::string_view::npos)
      << status;
  EXPECT_EQ(Publish(*trace_, kRows + 10), status);
  EXPECT_EQ(trace_->row_count(), kRows);
  EXPECT_TRUE(IsPrefix(*trace_));
}

TEST_F(TraceReplayTest, ANumberThatIsNoneEqualsItselfOnly) {
  ASSERT_TRUE(std::isnan(Cell(100, 1)));
  ASSERT_TRUE(trace_->Rewind(0).ok());
  AppendRows(*trace_, 0, 101);
  EXPECT_TRUE(Publish(*trace_, 101).ok());
  ASSERT_TRUE(trace_->Rewind(0).ok());
  AppendWithOne(0, 101, 100, 1);
  EXPECT_TRUE(absl::IsDataLoss(Publish(*trace_, 101)));
}

// Under another build values agree within a share of the column's largest one, and the stored ones
// stay, also those of a block that new rows are added to.
TEST_F(TraceReplayTest, ValuesThatAgreeByTheCallersRuleStayAsTheyAreStored) {
  std::vector<double> largest;
  const ValuesAgree agree = [&](int, double stored, double recomputed, double largest_so_far) {
    largest.push_back(largest_so_far);
    return std::fabs(stored - recomputed) <= 1e-9 * largest_so_far;
  };
  trace_->set_agree(agree);
  ASSERT_TRUE(trace_->Rewind(2047).ok());
  AppendWithOne(2047, kRows + 10, 2100, Cell(2100, 1) + 1e-7);
  ASSERT_TRUE(Publish(*trace_, kRows + 10).ok());
  EXPECT_TRUE(IsPrefix(*trace_));
  ASSERT_EQ(largest.size(), 1U);
  EXPECT_EQ(largest[0], Cell(2100, 1));  // rows so far, most of them before the first one compared

  trace_ = FileTrace::OpenToWrite(files_, kPath, kUid, kRows).value();
  trace_->set_agree(agree);
  ASSERT_TRUE(trace_->Rewind(2047).ok());
  AppendWithOne(2047, kRows, 2100, Cell(2100, 1) + 1e-5);
  EXPECT_TRUE(absl::IsDataLoss(Publish(*trace_, kRows)));
}

TEST_F(TraceReplayTest, AReadOrAWriteThatFailsCanBeMadeAgain) {
  using Call = FaultyFileSystem::Call;
  for (const Call call : {Call::kRead, Call::kWrite}) {
    for (int64_t nth = 1; nth <= 8; ++nth) {
      SpoilHeads(0);
      SpoilHeads(1);
      SpoilHeads(2);
      trace_ = FileTrace::OpenToWrite(files_, kPath, kUid, kRows).value();
      ASSERT_TRUE(trace_->Rewind(0).ok());
      AppendRows(*trace_, 0, kRows + 10);
      files_.AddRule({call, "", nth, 1, {}});
      const absl::Status first = Publish(*trace_, kRows + 10);
      files_.ClearRules();
      if (!first.ok()) {
        EXPECT_TRUE(absl::IsUnavailable(first)) << first;
        EXPECT_TRUE(Publish(*trace_, kRows + 10).ok());
      }
      EXPECT_EQ(trace_->row_count(), kRows + 10);
      EXPECT_TRUE(IsPrefix(*trace_));
    }
  }
}

TEST_F(TraceReplayTest, WhatIsBeforeTheFirstRowIsNeededForDamageWithoutAHead) {
  SpoilHeads(0);
  SpoilHeads(1);
  trace_ = FileTrace::OpenToWrite(files_, kPath, kUid, kRows).value();
  ASSERT_TRUE(trace_->Rewind(kBlockRows).ok());
  AppendRows(*trace_, kBlockRows, kRows);
  const absl::Status status = Publish(*trace_, kRows);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_NE(status.message().find("only from row 0 or before"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace polyak::storage
