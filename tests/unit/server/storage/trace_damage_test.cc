// Each byte of a small trace flipped or zeroed, and the file cut there: never a crash, never a
// wrong number. What is damaged is reported, kept, and mended by recomputation.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/storage/file_trace.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::SimulatedDisk;

constexpr int64_t kRows = 2 * kBlockRows + 100;
constexpr BlockLayout kLayout = {kColumns};

std::string ReadAll(SimulatedDisk& disk) {
  const auto file = disk.Open(kPath, base::FileSystem::Mode::kRead).value();
  std::string bytes(static_cast<size_t>(file->Size().value()), '\0');
  EXPECT_TRUE(file->Read(0, bytes).ok());
  return bytes;
}

class TraceDamage : public ::testing::Test {
 protected:
  TraceDamage() {
    MakeDirectories(disk_);
    bytes_ = MakeTrace(kRows, kUid);
  }

  // The bytes of a trace, some of its rows published one by one.
  std::string MakeTrace(int64_t rows, const std::string& uid) {
    EXPECT_TRUE(!disk_.Exists(kPath).value() || disk_.Remove(kPath).ok());
    auto trace = FileTrace::Create(disk_, kPath, uid, kColumns, "a description").value();
    for (int64_t row = 0; row < rows;) {
      const int64_t next = row < 3 ? row + 1 : std::min(rows, row + 700);
      AppendRows(*trace, row, next);
      EXPECT_TRUE(Publish(*trace, next).ok());
      row = next;
    }
    EXPECT_TRUE(trace->Sync().ok());
    digest_ = trace->Digest().value();
    return ReadAll(disk_);
  }

  void Put(const std::string& bytes) {
    const auto file = disk_.Open(kPath, base::FileSystem::Mode::kOverwrite).value();
    ASSERT_TRUE(file->Write(0, bytes).ok());
  }

  int64_t first_block() const { return 4096; }
  int64_t block_begin(int64_t block) const { return first_block() + block * kLayout.block_bytes(); }

  // Overwrites bytes of bytes_.
  void Spoil(int64_t offset, int64_t size) {
    for (int64_t k = 0; k < size; ++k) {
      char& byte = bytes_[static_cast<size_t>(offset + k)];
      byte = static_cast<char>(byte ^ 0x5a);
    }
  }
  void SpoilHeads(int64_t block) { Spoil(block_begin(block), kLayout.column_offset(0)); }
  void SpoilRows(int64_t block) {
    Spoil(block_begin(block) + kLayout.column_offset(1) + 8 * 10, 8);
  }

  SimulatedDisk disk_;
  std::string bytes_;
  uint32_t digest_ = 0;
};

// Rows that are read are right; rows that are not are refused, never left out.
//   one_block: no more than one is hurt.
void CheckServing(const TraceReader& trace, int64_t rows_least, bool one_block) {
  EXPECT_GE(trace.row_count(), rows_least);
  int64_t served = 0;
  for (int64_t block = 0; FirstRowOf(block) < trace.row_count(); ++block) {
    const int64_t count = RowsWithin(block, trace.row_count());
    const auto read = trace.Read(FirstRowOf(block), count, 1);
    if (read.ok()) {
      EXPECT_EQ(read->row_count(), count);
      EXPECT_EQ(FirstWrongRow(*read), -1);
      served += count;
    } else {
      EXPECT_TRUE(absl::IsDataLoss(read.status())) << read.status();
    }
    for (int column = 0; column < kColumns; ++column) {
      const std::vector<int64_t> edges = {FirstRowOf(block), FirstRowOf(block) + count / 2,
                                          FirstRowOf(block) + count};
      const auto summaries = trace.Summarize(column, edges);
      if (summaries.ok()) {
        EXPECT_TRUE(SameBits((*summaries)[0].first, Cell(FirstRowOf(block), column)));
        EXPECT_TRUE(SameBits((*summaries)[1].last, Cell(FirstRowOf(block) + count - 1, column)));
      }
    }
  }
  EXPECT_GE(served, one_block ? trace.row_count() - kBlockRows : 0);
}

enum class Hurt { kFlip, kZero, kCut };

// False if it changes nothing.
bool HurtFile(SimulatedDisk& disk, int64_t at, Hurt hurt) {
  const auto file = disk.Open(kPath, base::FileSystem::Mode::kUpdate).value();
  if (hurt == Hurt::kCut) {
    EXPECT_TRUE(file->Truncate(at).ok());
    return true;
  }
  char byte = 0;
  EXPECT_TRUE(file->Read(at, {&byte, 1}).ok());
  const char hurt_byte = hurt == Hurt::kZero ? '\0' : static_cast<char>(byte ^ (1 << (at % 8)));
  EXPECT_TRUE(file->Write(at, {&hurt_byte, 1}).ok());
  return hurt_byte != byte;
}

// All bytes of the header, of the first block's heads and first rows; of the rest the borders of
// columns and blocks, and every 29th.
TEST_F(TraceDamage, EachByteFlippedZeroedOrCutIsNoticedOrHarmless) {
  ASSERT_TRUE(disk_.SyncDirectory("/data/jobs").ok());
  const auto size = static_cast<int64_t>(bytes_.size());
  for (int64_t at = 0; at < size; at += at < 5700 || at % 512 < 9 ? 1 : 29) {
    for (const Hurt hurt : {Hurt::kFlip, Hurt::kZero, Hurt::kCut}) {
      SimulatedDisk disk = disk_.CrashAt(disk_.log_size());
      if (!HurtFile(disk, at, hurt)) {
        continue;
      }
      const auto ended = FileTrace::OpenToRead(disk, kPath, kUid, kRows);
      if (ended.ok()) {
        CheckServing(**ended, kRows, hurt != Hurt::kCut);
      } else {
        EXPECT_LT(at, kTraceHeaderBytes);
        EXPECT_TRUE(absl::IsDataLoss(ended.status())) << ended.status();
      }
      for (const int64_t known : {kRows, int64_t{0}}) {
        const auto going_on = FileTrace::OpenToWrite(disk, kPath, kUid, known);
        EXPECT_EQ(going_on.ok(), ended.ok());
        if (going_on.ok()) {
          CheckServing(**going_on, known, hurt != Hurt::kCut);
        }
      }
      ASSERT_FALSE(HasFailure()) << "byte " << at << ", kind " << static_cast<int>(hurt);
    }
  }
}

TEST_F(TraceDamage, ADamagedBlockBelowADurableRowIsReportedAndNothingIsRemoved) {
  for (const bool heads : {true, false}) {
    bytes_ = MakeTrace(kRows, kUid);
    if (heads) {
      SpoilHeads(1);
    } else {
      SpoilRows(1);
    }
    Put(bytes_);
    const auto trace = FileTrace::OpenToWrite(disk_, kPath, kUid, kRows).value();
    EXPECT_EQ(trace->row_count(), kRows);
    EXPECT_EQ(ReadAll(disk_), bytes_);
    // Rows below the durable ones are not looked at when the trace is opened, their heads are.
    ASSERT_EQ(trace->damage().size(), heads ? 1U : 0U);
    if (heads) {
      EXPECT_EQ(trace->damage()[0].first_row, kBlockRows);
      EXPECT_EQ(trace->damage()[0].row_count, kBlockRows);
    }
    const absl::Status status = trace->Read(kBlockRows + 7, 1, 1).status();
    EXPECT_TRUE(absl::IsDataLoss(status));
    EXPECT_NE(status.message().find("rows 1024 to 2047 (block 1) of /data/jobs/u1.trace"),
              absl::string_view::npos)
        << status;
    EXPECT_TRUE(trace->Read(0, kBlockRows, 1).ok());
    EXPECT_TRUE(trace->Read(2 * kBlockRows, 100, 1).ok());
  }
}

// The caller knows nothing, but a later head says that the rows before it were durable.
TEST_F(TraceDamage, ALaterHeadIsAWitnessThatRowsWereDurable) {
  auto trace = FileTrace::OpenToWrite(disk_, kPath, kUid, 0).value();
  ASSERT_TRUE(trace->Rewind(kRows).ok());
  AppendRows(*trace, kRows, kRows + 1);
  ASSERT_TRUE(Publish(*trace, kRows + 1).ok());
  trace.reset();
  bytes_ = ReadAll(disk_);
  SpoilHeads(0);
  SpoilHeads(1);
  Put(bytes_);
  trace = FileTrace::OpenToWrite(disk_, kPath, kUid, 0).value();
  EXPECT_EQ(trace->row_count(), kRows + 1);
  ASSERT_EQ(trace->damage().size(), 1U);
  EXPECT_EQ(trace->damage()[0].first_row, 0);
  EXPECT_EQ(trace->damage()[0].row_count, 2 * kBlockRows);
}

TEST_F(TraceDamage, ABadLastBlockThatNobodyKnowsToBeDurableIsATornTail) {
  SpoilHeads(2);
  Put(bytes_);
  const auto trace = FileTrace::OpenToWrite(disk_, kPath, kUid, 0).value();
  EXPECT_EQ(trace->row_count(), 2 * kBlockRows);
  EXPECT_TRUE(trace->damage().empty());
  EXPECT_EQ(static_cast<int64_t>(ReadAll(disk_).size()), block_begin(2));
}

TEST_F(TraceDamage, DamagedRowsAreMendedByRecomputation) {
  const std::vector<std::function<void()>> spoilers = {
      [this] { SpoilRows(0); },
      [this] { SpoilHeads(0); },
      [this] { SpoilHeads(1); },
      [this] {
        SpoilHeads(0);
        SpoilHeads(1);
      },
      [this] {
        SpoilHeads(0);
        SpoilRows(1);
      },
      [this] { SpoilHeads(2); },
      [this] { SpoilRows(2); },
      [this] {
        SpoilHeads(1);
        SpoilHeads(2);
      },
  };
  for (size_t k = 0; k < spoilers.size(); ++k) {
    bytes_ = MakeTrace(kRows, kUid);
    spoilers[k]();
    Put(bytes_);
    auto trace = FileTrace::OpenToWrite(disk_, kPath, kUid, kRows).value();
    ASSERT_TRUE(trace->Rewind(0).ok()) << k;
    for (int64_t row = 0; row < kRows; row += 50) {
      AppendRows(*trace, row, row + 50);
      ASSERT_TRUE(Publish(*trace, row + 50).ok()) << k;
      EXPECT_GE(trace->row_count(), kRows);
    }
    EXPECT_TRUE(IsPrefix(*trace)) << k;
    EXPECT_EQ(trace->row_count(), kRows + 50 - kRows % 50);
    trace = FileTrace::OpenToRead(disk_, kPath, kUid, kRows).value();
    EXPECT_TRUE(IsPrefix(*trace)) << k;
    EXPECT_EQ(trace->Digest().value(), digest_) << k;
  }
}

// Other rows than those that were lost: the checksums that are left tell.
TEST_F(TraceDamage, RowsThatDoNotFitTheChecksumsThatAreLeftMendNothing) {
  for (const int kind : {0, 1, 2}) {
    bytes_ = MakeTrace(kRows, kUid);
    if (kind == 0) {
      SpoilRows(1);
    } else {
      SpoilHeads(1);
    }
    if (kind == 2) {
      SpoilRows(2);
    }
    Put(bytes_);
    auto trace = FileTrace::OpenToWrite(disk_, kPath, kUid, kRows).value();
    ASSERT_TRUE(trace->Rewind(kBlockRows).ok());
    trace->Reserve(kRows - kBlockRows);
    for (int64_t row = kBlockRows; row < kRows; ++row) {
      trace->Append(std::vector<double>{Cell(row, 0), row == 1500 ? 3 : Cell(row, 1)});
    }
    const absl::Status status = Publish(*trace, kRows);
    EXPECT_TRUE(absl::IsDataLoss(status)) << kind;
    EXPECT_EQ(Publish(*trace, kRows), status);
    EXPECT_TRUE(absl::IsDataLoss(trace->Read(kBlockRows, 1, 1).status()));
    EXPECT_EQ(ReadAll(disk_), bytes_);
  }
}

TEST_F(TraceDamage, AStartInTheMiddleOfDamageIsRefused) {
  SpoilHeads(1);
  Put(bytes_);
  auto trace = FileTrace::OpenToWrite(disk_, kPath, kUid, kRows).value();
  EXPECT_TRUE(absl::IsDataLoss(trace->Rewind(kBlockRows + 5)));
  EXPECT_TRUE(trace->Rewind(kBlockRows).ok());
  // The row after the damage has all that it needs.
  EXPECT_TRUE(trace->Rewind(kRows).ok());
}

TEST_F(TraceDamage, BlocksOfOtherPlacesAndOtherJobsAreNotServed) {
  const std::string other = MakeTrace(kRows, "u2");
  const auto block = static_cast<size_t>(kLayout.block_bytes());
  const auto at = [this](int64_t number) { return static_cast<size_t>(block_begin(number)); };
  // Swapped within the trace.
  std::string swapped = bytes_;
  swapped.replace(at(0), block, bytes_, at(1), block);
  swapped.replace(at(1), block, bytes_, at(0), block);
  Put(swapped);
  auto trace = FileTrace::OpenToRead(disk_, kPath, kUid, kRows).value();
  EXPECT_TRUE(absl::IsDataLoss(trace->Read(0, 1, 1).status()));
  EXPECT_TRUE(absl::IsDataLoss(trace->Read(kBlockRows, 1, 1).status()));
  // From another job, whose rows are the same.
  std::string mixed = bytes_;
  mixed.replace(at(1), block, other, at(1), block);
  Put(mixed);
  trace = FileTrace::OpenToRead(disk_, kPath, kUid, kRows).value();
  EXPECT_TRUE(absl::IsDataLoss(trace->Read(kBlockRows, 1, 1).status()));
  // The whole file.
  Put(other);
  EXPECT_TRUE(absl::IsDataLoss(FileTrace::OpenToRead(disk_, kPath, kUid, kRows).status()));
}

TEST_F(TraceDamage, ATraceShorterThanItsJobSaysIsDamaged) {
  Put(bytes_.substr(0, static_cast<size_t>(block_begin(1))));
  const auto ended = FileTrace::OpenToRead(disk_, kPath, kUid, kRows).value();
  EXPECT_TRUE(absl::IsDataLoss(ended->Read(kRows - 1, 1, 1).status()));
  EXPECT_TRUE(ended->Read(0, kBlockRows, 1).ok());
  const auto trace = FileTrace::OpenToWrite(disk_, kPath, kUid, kRows).value();
  EXPECT_EQ(trace->row_count(), kRows);
  ASSERT_EQ(trace->damage().size(), 1U);
  EXPECT_EQ(trace->damage()[0].first_row, kBlockRows);
  EXPECT_EQ(trace->damage()[0].row_count, kRows - kBlockRows);
  ASSERT_TRUE(trace->Rewind(0).ok());
  AppendRows(*trace, 0, kRows);
  ASSERT_TRUE(Publish(*trace, kRows).ok());
  EXPECT_TRUE(IsPrefix(*trace));
}

}  // namespace
}  // namespace polyak::storage
