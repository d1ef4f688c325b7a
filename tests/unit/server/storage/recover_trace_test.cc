#include "server/storage/recover_trace.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::SimulatedDisk;

// What the crash and damage tests do not pin down: which slot is written, and how much is looked
// at.
class RecoverTraceTest : public ::testing::Test {
 protected:
  RecoverTraceTest() {
    MakeDirectories(disk_);
    file_ = TraceFile::Create(disk_, kPath, kUid, kColumns, "").value();
    chain_ = 0;
  }
  // Writes a block in steps, each a count and how many rows of the trace were durable then.
  void StoreBlock(int64_t number, const std::vector<std::pair<int64_t, int64_t>>& steps) {
    TraceBlock block(file_->layout(), file_->uid_hash(), number);
    for (int c = 0; c < kColumns; ++c) {
      for (int64_t k = 0; k < kBlockRows; ++k) {
        block.column(c)[k] = Cell(FirstRowOf(number) + k, c);
      }
    }
    for (const auto& [count, synced] : steps) {
      if (synced == FirstRowOf(number) + block.head.count) {
        block.durable_slot = block.newest_slot;
      }
      BlockHead next = ExtendHead(block.head, block, count, {});
      next.synced_rows = synced;
      next.previous_chain = chain_;
      ASSERT_TRUE(file_->Store(next, block.head.count, block).ok());
    }
    chain_ = block.head.Chain();
  }
  std::vector<int64_t> Slots(int64_t number) const {
    std::vector<int64_t> counts(kHeadSlots);
    const auto heads = file_->ReadHeads(number).value();
    for (const auto& found : heads) {
      counts[static_cast<size_t>(found.slot)] = found.head.count;
    }
    return counts;
  }
  size_t Log() const { return disk_.log_size(); }

  SimulatedDisk disk_;
  std::unique_ptr<TraceFile> file_;
  uint32_t chain_ = 0;
};

TEST_F(RecoverTraceTest, AnEmptyTraceHasNoRows) {
  const RecoveredTrace found = RecoverTrace(*file_, 0).value();
  EXPECT_EQ(found.rows, 0);
  EXPECT_TRUE(found.damage.empty());
}

TEST_F(RecoverTraceTest, TheDurableHeadAndTheNewestStayWhileTheTailIsWrittenAgain) {
  StoreBlock(0, {{500, 0}, {600, 500}, {650, 500}, {700, 500}});
  EXPECT_EQ(Slots(0), (std::vector<int64_t>{500, 700, 650}));
  EXPECT_EQ(RecoverTrace(*file_, 0)->rows, 700);
  EXPECT_EQ(Slots(0), (std::vector<int64_t>{500, 700, 700}));
}

TEST_F(RecoverTraceTest, WhatIsKnownToBeDurableIsNotWrittenAgain) {
  StoreBlock(0, {{1024, 0}});
  StoreBlock(1, {{500, 0}});
  const size_t before = Log();
  EXPECT_EQ(RecoverTrace(*file_, 1524)->rows, 1524);
  EXPECT_EQ(Log(), before + 1) << "one Sync";
  EXPECT_EQ(RecoverTrace(*file_, 1024)->rows, 1524);
  EXPECT_EQ(Log(), before + 2 + kColumns + 1) << "a Sync, the rows of one block and its head";
}

TEST_F(RecoverTraceTest, ABlockThatDoesNotFollowTheOneBeforeIsNoPartOfTheTrace) {
  StoreBlock(0, {{1024, 0}});
  chain_ += 1;
  StoreBlock(1, {{1024, 0}});
  StoreBlock(2, {{10, 0}});
  EXPECT_EQ(RecoverTrace(*file_, 0)->rows, 1024);
  EXPECT_EQ(file_->CountBlocks().value(), 1);
}

TEST_F(RecoverTraceTest, ADurableBlockThatDoesNotFollowTheOneBeforeIsDamage) {
  StoreBlock(0, {{1024, 0}});
  chain_ += 1;
  StoreBlock(1, {{1024, 0}});
  StoreBlock(2, {{10, 0}});
  const RecoveredTrace found = RecoverTrace(*file_, 2058).value();
  EXPECT_EQ(found.rows, 2058);
  ASSERT_EQ(found.damage.size(), 1U);
  EXPECT_EQ(found.damage[0].first_row, 1024);
}

TEST_F(RecoverTraceTest, DamageInTheLastDurableBlockEndsAtItsLastDurableRow) {
  StoreBlock(0, {{1024, 0}});
  const RecoveredTrace found = RecoverTrace(*file_, 1100).value();
  EXPECT_EQ(found.rows, 1100);
  ASSERT_EQ(found.damage.size(), 1U);
  EXPECT_EQ(found.damage[0].first_row, 1024);
  EXPECT_EQ(found.damage[0].row_count, 76);
}

}  // namespace
}  // namespace polyak::storage
