#include "server/storage/trace_block.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

constexpr BlockLayout kLayout = {3};
constexpr uint64_t kHash = 77;

class FilledBlock : public TraceBlock {
 public:
  explicit FilledBlock(int64_t number) : TraceBlock(kLayout, kHash, number) {
    for (int c = 0; c < kLayout.columns; ++c) {
      for (int64_t k = 0; k < kBlockRows; ++k) {
        column(c)[k] = Cell(FirstRowOf(number) + k, c);
      }
    }
  }
  using TraceBlock::column;
};

// A head made in steps, each a slice of training that ends at a second a hundred rows.
BlockHead HeadInSteps(const TraceBlock& block, const std::vector<int64_t>& counts) {
  BlockHead head = block.head;
  SliceTimes times;
  times.from_row = FirstRowOf(block.number()) - 1;
  times.from_seconds = static_cast<double>(times.from_row) / 100;
  for (const int64_t count : counts) {
    times.to_row = FirstRowOf(block.number()) + count - 1;
    times.to_seconds = static_cast<double>(times.to_row) / 100;
    head = ExtendHead(head, block, count, times);
    times.from_row = times.to_row;
    times.from_seconds = times.to_seconds;
  }
  return head;
}

std::string Encode(const BlockHead& head) {
  std::string slot(static_cast<size_t>(kLayout.slot_bytes()), 'x');
  EncodeHead(head, slot);
  return slot;
}

TEST(TraceBlock, SlotsAreSectorsOfTheirOwn) {
  EXPECT_EQ(BlockLayout{1}.slot_bytes(), 512);
  EXPECT_EQ(BlockLayout{4}.slot_bytes(), 512);
  EXPECT_EQ(BlockLayout{5}.slot_bytes(), 1024);
  EXPECT_EQ(kLayout.column_offset(0), 1536);
  EXPECT_EQ(kLayout.column_offset(2), 1536 + 2 * 8192);
  EXPECT_EQ(kLayout.block_bytes(), 1536 + 3 * 8192);
}

TEST(TraceBlock, CountsTheRowsOfABlock) {
  EXPECT_EQ(RowsWithin(0, 5), 5);
  EXPECT_EQ(RowsWithin(1, 5), 0);
  EXPECT_EQ(RowsWithin(1, 2048), 1024);
  EXPECT_EQ(RowsWithin(1, 5000), 1024);
  EXPECT_EQ(BlockOf(1023), 0);
  EXPECT_EQ(BlockOf(1024), 1);
}

TEST(TraceBlock, AHeadIsReadAsItWasWritten) {
  const FilledBlock block(9);
  BlockHead head = HeadInSteps(block, {700});
  head.synced_rows = 9300;
  head.previous_chain = 0xfedcba98;
  const auto read = DecodeHead(Encode(head), kLayout, kHash, 9);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->count, 700);
  EXPECT_EQ(read->synced_rows, 9300);
  EXPECT_EQ(read->previous_chain, 0xfedcba98);
  EXPECT_EQ(read->Chain(), head.Chain());
  EXPECT_EQ(read->elapsed, head.elapsed);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(read->columns[c].crc, head.columns[c].crc);
    EXPECT_TRUE(SameBits(read->columns[c].summary.last, Cell(9 * 1024 + 699, static_cast<int>(c))));
    EXPECT_EQ(read->columns[c].summary.min, head.columns[c].summary.min);
    EXPECT_EQ(read->columns[c].summary.max, head.columns[c].summary.max);
    EXPECT_EQ(read->columns[c].summary.count, 700);
    EXPECT_EQ(read->columns[c].summary.non_finite, head.columns[c].summary.non_finite);
  }
}

TEST(TraceBlock, AHeadOfAnotherPlaceOrJobIsNone) {
  const std::string slot = Encode(HeadInSteps(FilledBlock(9), {700}));
  EXPECT_TRUE(DecodeHead(slot, kLayout, kHash, 9).has_value());
  EXPECT_FALSE(DecodeHead(slot, kLayout, kHash, 8).has_value());
  EXPECT_FALSE(DecodeHead(slot, kLayout, kHash + 1, 9).has_value());
  EXPECT_FALSE(DecodeHead(std::string(512, '\0'), kLayout, kHash, 9).has_value());
}

TEST(TraceBlock, AnyBitOfAHeadThatIsWrongIsNoticed) {
  const std::string slot = Encode(HeadInSteps(FilledBlock(0), {700}));
  for (size_t bit = 0; bit < 8 * slot.size(); ++bit) {
    std::string flipped = slot;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(DecodeHead(flipped, kLayout, kHash, 0).has_value()) << "bit " << bit;
  }
}

TEST(TraceBlock, AHeadDoesNotDependOnHowItsRowsWereCut) {
  const FilledBlock block(2);
  const BlockHead once = HeadInSteps(block, {1000});
  for (const auto& counts : std::vector<std::vector<int64_t>>{
           {1, 2, 3, 1000}, {31, 32, 33, 64, 1000}, {999, 1000}, {500, 1000}}) {
    const BlockHead steps = HeadInSteps(block, counts);
    EXPECT_EQ(steps.Chain(), once.Chain());
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(steps.columns[c].crc, once.columns[c].crc);
      EXPECT_EQ(steps.columns[c].summary.min, once.columns[c].summary.min);
      EXPECT_EQ(steps.columns[c].summary.non_finite, once.columns[c].summary.non_finite);
    }
    for (int64_t index = 0; index < 1000; ++index) {
      // Interpolated on a straight line: a few roundings of numbers near 30.
      ASSERT_NEAR(steps.ElapsedAt(index), static_cast<double>(2048 + index) / 100, 1e-12);
      ASSERT_NEAR(once.ElapsedAt(index), static_cast<double>(2048 + index) / 100, 1e-12);
    }
  }
}

TEST(TraceBlock, TheChainDependsOnEveryRowAndOnWhatCameBefore) {
  FilledBlock block(1);
  const uint32_t chain = HeadInSteps(block, {1024}).Chain();
  block.column(2)[1000] = 5;
  EXPECT_NE(HeadInSteps(block, {1024}).Chain(), chain);
  EXPECT_NE(HeadInSteps(FilledBlock(1), {1023}).Chain(), chain);
  BlockHead head = HeadInSteps(FilledBlock(1), {1024});
  EXPECT_EQ(head.Chain(), chain);
  head.previous_chain = 1;
  EXPECT_NE(head.Chain(), chain);
}

TEST(TraceBlock, TheFirstWrongColumnIsFound) {
  FilledBlock block(1);
  const BlockHead head = HeadInSteps(block, {100});
  EXPECT_EQ(FirstWrongColumn(head, block), -1);
  block.column(1)[100] = 5;  // behind the rows of the head
  EXPECT_EQ(FirstWrongColumn(head, block), -1);
  block.column(1)[99] = 5;
  EXPECT_EQ(FirstWrongColumn(head, block), 1);
}

TEST(TraceBlock, TimesOfRowsInMemoryAreThoseOfTheHead) {
  FilledBlock block(0);
  for (const std::vector<int64_t>& counts :
       {std::vector<int64_t>{40}, std::vector<int64_t>{40, 64}, std::vector<int64_t>{40, 1024}}) {
    block.head = HeadInSteps(block, {});
    block.head.count = 0;
    block.head = HeadInSteps(block, counts);
    block.ShowTimes(0);
    const int64_t count = counts.back();
    for (int64_t index = 0; index < count; ++index) {
      ASSERT_EQ(block.ElapsedAt(index, count, block.head.elapsed[kElapsedSamples]),
                block.head.ElapsedAt(index));
    }
    block.Restart(0);
  }
}

TEST(TraceBlock, UidsAreHashedByFnv) {
  EXPECT_EQ(HashUid(""), 0xcbf29ce484222325);
  EXPECT_EQ(HashUid("a"), 0xaf63dc4c8601ec8c);  // published test vector
  EXPECT_NE(HashUid("u1"), HashUid("u2"));
}

}  // namespace
}  // namespace polyak::storage
