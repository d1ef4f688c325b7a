#include "server/storage/file_trace.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/storage/trace_fixture.h"

// What both traces do is in tests/conformance/trace_test.cc; failing disks are in trace_*_test.cc.

namespace polyak::storage {
namespace {

using testing_support::FaultyFileSystem;
using testing_support::SimulatedDisk;
using Call = FaultyFileSystem::Call;

class FileTraceTest : public ::testing::Test {
 protected:
  FileTraceTest() {
    MakeDirectories(disk_);
    trace_ = FileTrace::Create(files_, kPath, kUid, kColumns, "about the job").value();
  }
  void Grow(int64_t to) {
    AppendRows(*trace_, written_, to);
    written_ = to;
    ASSERT_TRUE(Publish(*trace_, to).ok());
  }

  SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
  std::unique_ptr<FileTrace> trace_;
  int64_t written_ = 0;
};

TEST_F(FileTraceTest, TheLastBlocksAreReadFromMemoryOlderOnesFromTheFile) {
  Grow(20 * kBlockRows + 10);
  const int64_t before = files_.calls(Call::kRead);
  // Eight blocks, the one that fills up among them.
  ASSERT_TRUE(trace_->Read(13 * kBlockRows, 10 * kBlockRows, 1).ok());
  ASSERT_TRUE(trace_->ElapsedAt(13 * kBlockRows + 5).ok());
  EXPECT_EQ(files_.calls(Call::kRead), before);
  ASSERT_TRUE(trace_->Read(13 * kBlockRows - 1, 2, 1).ok());
  EXPECT_EQ(files_.calls(Call::kRead), before + 1);
  EXPECT_TRUE(IsPrefix(*trace_));
}

TEST_F(FileTraceTest, ATraceThatNobodyWritesHoldsFewBytes) {
  trace_->Reserve(1 << 16);
  EXPECT_GT(trace_->memory_bytes(), (1 << 16) * 8 * kColumns);
  Grow(1 << 16);
  Grow((1 << 16) + 5);
  // The last blocks, the one that fills up, and room for a slice like the last one.
  EXPECT_LT(trace_->memory_bytes(), 80 * (kBlockRows * 8 * kColumns + 4096));
  trace_->Close();
  EXPECT_LT(trace_->memory_bytes(), 4096);
  EXPECT_EQ(trace_->row_count(), (1 << 16) + 5);
  EXPECT_TRUE(IsPrefix(*trace_));
  EXPECT_NEAR(trace_->ElapsedAt(65'540).value(), 65.541, 1e-9);
  trace_ = FileTrace::OpenToRead(files_, kPath, kUid, (1 << 16) + 5).value();
  EXPECT_LT(trace_->memory_bytes(), 4096);
  EXPECT_TRUE(IsPrefix(*trace_));
}

TEST_F(FileTraceTest, OpeningAnEndedTraceIsOneReadHoweverLongItIs) {
  Grow(50 * kBlockRows);
  const int64_t before = files_.calls(Call::kRead);
  const auto ended = FileTrace::OpenToRead(files_, kPath, kUid, 50 * kBlockRows).value();
  EXPECT_EQ(files_.calls(Call::kRead), before + 1);
  EXPECT_EQ(ended->ReadDescription().value(), "about the job");
}

TEST_F(FileTraceTest, ATraceMayEndBeforeItsFileDoes) {
  Grow(3000);
  const auto ended = FileTrace::OpenToRead(files_, kPath, kUid, 2500).value();
  EXPECT_EQ(ended->Read(0, 5000, 1)->row_count(), 2500);
  EXPECT_EQ(ended->Summarize(0, std::vector<int64_t>{0, 5000}).value()[0].count, 2500);
  EXPECT_NEAR(ended->ElapsedAt(9999).value(), 2.5, 1e-9);
  Grow(3001);
  trace_ = FileTrace::OpenToWrite(files_, kPath, kUid, 0).value();
  EXPECT_EQ(trace_->row_count(), 3001);
}

TEST_F(FileTraceTest, ASliceOfManyBlocksIsAWriteABlock) {
  const int64_t before = files_.calls(Call::kWrite);
  Grow(64 * kBlockRows);
  EXPECT_EQ(files_.calls(Call::kWrite), before + 64);
  Grow(64 * kBlockRows + 1);
  EXPECT_EQ(files_.calls(Call::kWrite), before + 64 + kColumns + 1);
  ASSERT_TRUE(trace_->Publish(100).ok());
  EXPECT_EQ(files_.calls(Call::kWrite), before + 64 + kColumns + 1);
}

TEST_F(FileTraceTest, TheDigestIsThatOfTheRowsAlone) {
  Grow(2500);
  const uint32_t digest = trace_->Digest().value();
  SimulatedDisk other;
  MakeDirectories(other);
  auto slices = FileTrace::Create(other, kPath, "another job", kColumns, "x").value();
  for (int64_t row = 0; row < 2500; row += 100) {
    AppendRows(*slices, row, row + 100);
    ASSERT_TRUE(slices->Publish(static_cast<double>(row * row)).ok());
  }
  EXPECT_EQ(slices->Digest().value(), digest);
  Grow(2501);
  EXPECT_NE(trace_->Digest().value(), digest);
  EXPECT_EQ(FileTrace::OpenToRead(files_, kPath, kUid, 2500).value()->Digest().value(), digest);
}

TEST_F(FileTraceTest, TrainingTimeGoesOnAfterARestart) {
  Grow(1500);
  trace_ = FileTrace::OpenToWrite(files_, kPath, kUid, 0).value();
  EXPECT_NEAR(trace_->ElapsedAt(1499).value(), 1.5, 1e-9);
  ASSERT_TRUE(trace_->Rewind(1024).ok());
  written_ = 1024;
  Grow(3000);
  for (int64_t row = 0; row < 3000; row += 7) {
    ASSERT_NEAR(trace_->ElapsedAt(row).value(), static_cast<double>(row + 1) / 1000, 1e-9);
  }
}

TEST_F(FileTraceTest, SyncMakesDurableWhatWasPublished) {
  Grow(10);
  EXPECT_EQ(trace_->synced_rows(), 0);
  ASSERT_TRUE(trace_->Sync().ok());
  EXPECT_EQ(trace_->synced_rows(), 10);
}

// Readers at all places while blocks are made, shown, left to the file and used again.
TEST_F(FileTraceTest, ReadersSeeWholePublishedRowsWhileTheTraceGrows) {
  constexpr int64_t kAll = 150'000;
  std::atomic<int64_t> wrong = 0;
  std::vector<std::jthread> readers;
  for (int k = 0; k < 3; ++k) {
    readers.emplace_back([this, &wrong, k] {
      for (int64_t seen = 0; seen < kAll;) {
        const int64_t count = trace_->row_count();
        if (count == seen) {
          std::this_thread::yield();
          continue;
        }
        const auto fresh = trace_->Read(seen, count - seen, 1);
        const auto old = trace_->Read(count / 3 * k, 1000, 1 + k);
        const auto sums = trace_->Summarize(0, std::vector<int64_t>{seen, count});
        const auto elapsed = trace_->ElapsedAt(count - 1 - k);
        if (!fresh.ok() || fresh->row_count() != count - seen || FirstWrongRow(*fresh) >= 0 ||
            !old.ok() || FirstWrongRow(*old, 1 + k) >= 0 || !sums.ok() ||
            (*sums)[0].count != count - seen || !elapsed.ok() || *elapsed > kAll / 1000.0 + 1) {
          wrong.fetch_add(1);
        }
        seen = count;
      }
    });
  }
  for (int64_t slice = 1; written_ < kAll; slice = (slice * 7 + 13) % 20'011) {
    Grow(std::min(written_ + slice, kAll));
    if (slice % 5 == 0) {
      ASSERT_TRUE(trace_->Sync().ok());
    }
  }
  readers.clear();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace polyak::storage
