#include "server/storage/trace_view.h"

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

// Three blocks in a file, the last one with 100 rows and in memory too.
class TraceViewTest : public ::testing::Test {
 protected:
  static constexpr int64_t kRows = 2 * kBlockRows + 100;
  TraceViewTest() {
    MakeDirectories(disk_);
    file_ = TraceFile::Create(files_, kPath, kUid, kColumns, "").value();
    for (int64_t number = 0; number < 3; ++number) {
      auto block = std::make_shared<TraceBlock>(file_->layout(), file_->uid_hash(), number);
      for (int c = 0; c < kColumns; ++c) {
        for (int64_t k = 0; k < kBlockRows; ++k) {
          block->column(c)[k] = Cell(FirstRowOf(number) + k, c);
        }
      }
      const SliceTimes times = {-1, 0, kRows - 1, 2.0 * kRows};
      EXPECT_TRUE(
          file_->Store(ExtendHead(block->head, *block, RowsWithin(number, kRows), times), 0, *block)
              .ok());
      block->ShowTimes(0);
      last_ = block;
    }
  }
  TraceView View(bool in_memory) const {
    auto recent = std::make_shared<TraceBlocks>();
    if (in_memory) {
      recent->push_back(last_);
    }
    return {*file_, recent, kRows, in_memory ? std::optional(2.0 * kRows) : std::nullopt};
  }
  int64_t reads() const { return files_.calls(FaultyFileSystem::Call::kRead); }

  SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
  std::unique_ptr<TraceFile> file_;
  std::shared_ptr<TraceBlock> last_;
};

TEST_F(TraceViewTest, RowsOfTheFileAndOfMemoryAreOneTrace) {
  for (const bool in_memory : {true, false}) {
    for (const int64_t stride : {1, 7, 1000, 1024, 2000}) {
      const Columns read = View(in_memory).Read(3, 5000, stride).value();
      EXPECT_EQ(read.row_count(), (kRows - 4) / stride + 1);
      EXPECT_EQ(FirstWrongRow(read, stride), -1);
    }
  }
}

TEST_F(TraceViewTest, ABlockIsReadOnceHoweverManyOfItsRowsAreWanted) {
  const int64_t before = reads();
  ASSERT_TRUE(View(true).Read(0, 5000, 3).ok());
  EXPECT_EQ(reads(), before + 2);
  ASSERT_TRUE(View(true).Read(2 * kBlockRows, 5000, 1).ok());
  EXPECT_EQ(reads(), before + 2);
}

TEST_F(TraceViewTest, BlocksWithinABinAreSummarizedByTheirHeads) {
  const int64_t before = reads();
  ASSERT_TRUE(View(true).Summarize(0, std::vector<int64_t>{0, 2 * kBlockRows}).ok());
  EXPECT_EQ(reads(), before + 2);
  // The column of the block at which two bins meet is read once: a head, a column.
  ASSERT_TRUE(View(true).Summarize(0, std::vector<int64_t>{0, 300, 600, 900, 1024}).ok());
  EXPECT_EQ(reads(), before + 4);
}

TEST_F(TraceViewTest, TimesLieOnTheLineBetweenThoseThatWereMeasured) {
  for (const bool in_memory : {true, false}) {
    for (int64_t row = 0; row < kRows; ++row) {
      // One line through all of them; numbers up to 5,000, a few roundings.
      ASSERT_NEAR(View(in_memory).ElapsedAt(row).value(), 2.0 * static_cast<double>(row + 1), 1e-9);
    }
    EXPECT_EQ(View(in_memory).ElapsedAt(kRows + 5).value(), 2.0 * kRows);
  }
  const TraceView empty = {*file_, std::make_shared<TraceBlocks>(), 0, std::nullopt};
  EXPECT_EQ(empty.ElapsedAt(5).value(), 0);
}

}  // namespace
}  // namespace polyak::storage
