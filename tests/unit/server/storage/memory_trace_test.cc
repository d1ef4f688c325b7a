#include "server/storage/memory_trace.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

// Blocks begin at rows 0, 1024, 3072, 7168: powers of two of 1024 rows.
constexpr int64_t kRows = 8000;

// What column c of row t holds: every cell another number.
double Cell(int64_t row, int column) { return static_cast<double>(row * 10 + column); }

void AppendRow(MemoryTrace& trace, int64_t row, int columns) {
  std::vector<double> values;
  for (int c = 0; c < columns; ++c) {
    values.push_back(Cell(row, c));
  }
  trace.Append(values);
}

void Fill(MemoryTrace& trace, int columns, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    trace.Reserve(1);
    AppendRow(trace, row, columns);
  }
  ASSERT_TRUE(trace.Publish(1).ok());
}

TEST(MemoryTrace, KeepsEveryRowAcrossTheBordersOfItsBlocks) {
  for (const int columns : {1, 3}) {
    MemoryTrace trace(columns);
    Fill(trace, columns, kRows);
    ASSERT_EQ(trace.row_count(), kRows);
    const Columns all = trace.Read(0, kRows, 1).value();
    ASSERT_EQ(all.row_count(), kRows);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int c = 0; c < columns; ++c) {
        ASSERT_EQ(all.columns[static_cast<size_t>(c)][static_cast<size_t>(row)], Cell(row, c));
      }
    }
  }
}

TEST(MemoryTrace, AReservationOfManyBlocksIsFilledWithoutAnother) {
  MemoryTrace trace(2);
  trace.Reserve(kRows);
  const int64_t reserved = trace.memory_bytes();
  EXPECT_GE(reserved, kRows * 2 * static_cast<int64_t>(sizeof(double)));
  for (int64_t row = 0; row < kRows; ++row) {
    AppendRow(trace, row, 2);
  }
  ASSERT_TRUE(trace.Publish(1).ok());
  EXPECT_EQ(trace.memory_bytes(), reserved);
  EXPECT_EQ(trace.Read(kRows - 1, 1, 1).value().columns[1][0], Cell(kRows - 1, 1));
}

TEST(MemoryTrace, RowsShowWhenPublished) {
  MemoryTrace trace(1);
  EXPECT_EQ(trace.row_count(), 0);
  EXPECT_EQ(trace.Read(0, 10, 1).value().row_count(), 0);
  trace.Reserve(3);
  AppendRow(trace, 0, 1);
  AppendRow(trace, 1, 1);
  EXPECT_EQ(trace.row_count(), 0);
  EXPECT_EQ(trace.Read(0, 10, 1).value().row_count(), 0);
  ASSERT_TRUE(trace.Publish(0.5).ok());
  EXPECT_EQ(trace.row_count(), 2);
  AppendRow(trace, 2, 1);
  EXPECT_EQ(trace.Read(0, 10, 1).value().row_count(), 2);
  ASSERT_TRUE(trace.Publish(1).ok());
  EXPECT_EQ(trace.Read(0, 10, 1).value().row_count(), 3);
}

TEST(MemoryTrace, ReadsWithAStrideUpToALimit) {
  MemoryTrace trace(1);
  Fill(trace, 1, 2000);
  const auto rows = [&trace](int64_t first, int64_t max, int64_t stride) {
    std::vector<double> found;
    const Columns read = trace.Read(first, max, stride).value();
    for (const double cell : read.columns[0]) {
      found.push_back(cell / 10);
    }
    return found;
  };
  EXPECT_THAT(rows(0, 100, 700), ::testing::ElementsAre(0, 700, 1400));
  EXPECT_THAT(rows(700, 2, 600), ::testing::ElementsAre(700, 1300));
  EXPECT_THAT(rows(1999, 5, 1), ::testing::ElementsAre(1999));
  EXPECT_THAT(rows(1022, 4, 1), ::testing::ElementsAre(1022, 1023, 1024, 1025));
  EXPECT_THAT(rows(2000, 5, 1), ::testing::IsEmpty());
  EXPECT_THAT(rows(std::numeric_limits<int64_t>::max(), 5, 1), ::testing::IsEmpty());
  EXPECT_THAT(rows(0, 0, 1), ::testing::IsEmpty());
  EXPECT_THAT(rows(5, 9, std::numeric_limits<int64_t>::max()), ::testing::ElementsAre(5));
  EXPECT_EQ(trace.Read(700, 2, 600).value().first_row, 700);
}

TEST(MemoryTrace, ReadsWithAnyStrideAcrossTheBordersOfItsBlocks) {
  constexpr int kColumns = 3;
  MemoryTrace trace(kColumns);
  Fill(trace, kColumns, kRows);
  for (const int64_t stride : {1, 2, 7, 1023, 1024, 1025, 3000}) {
    for (const int64_t first : {0, 1, 1020, 1023, 1024}) {
      const Columns read = trace.Read(first, kRows, stride).value();
      ASSERT_EQ(read.row_count(), 1 + (kRows - 1 - first) / stride);
      for (int64_t k = 0; k < read.row_count(); ++k) {
        for (int c = 0; c < kColumns; ++c) {
          ASSERT_EQ(read.columns[static_cast<size_t>(c)][static_cast<size_t>(k)],
                    Cell(first + k * stride, c))
              << first << " " << stride;
        }
      }
    }
  }
}

TEST(MemoryTrace, NumbersThatAreNoneStayThemselves) {
  MemoryTrace trace(3);
  trace.Reserve(1);
  trace.Append(std::array<double, 3>{std::numeric_limits<double>::quiet_NaN(),
                                     std::numeric_limits<double>::infinity(), -0.0});
  ASSERT_TRUE(trace.Publish(0).ok());
  const Columns row = trace.Read(0, 1, 1).value();
  EXPECT_TRUE(std::isnan(row.columns[0][0]));
  EXPECT_EQ(row.columns[1][0], std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::signbit(row.columns[2][0]));
}

// One writer, three readers: whatever a reader finds published is whole, and the count never
// shrinks.
TEST(MemoryTrace, ReadersSeeOnlyWholePublishedRows) {
  constexpr int kColumns = 3;
  constexpr int64_t kAll = 200'000;
  MemoryTrace trace(kColumns);
  std::vector<std::jthread> readers;
  for (int k = 0; k < 3; ++k) {
    readers.emplace_back([&trace] {
      int64_t seen = 0;
      while (seen < kAll) {
        const int64_t count = trace.row_count();
        ASSERT_GE(count, seen);
        if (count == seen) {
          std::this_thread::yield();
          continue;
        }
        const Columns columns = trace.Read(seen, count - seen, 1).value();
        ASSERT_EQ(columns.row_count(), count - seen);
        for (int c = 0; c < kColumns; ++c) {
          for (int64_t row = seen; row < count; ++row) {
            ASSERT_EQ(columns.columns[static_cast<size_t>(c)][static_cast<size_t>(row - seen)],
                      Cell(row, c));
          }
        }
        ASSERT_LE(trace.ElapsedAt(count - 1).value(), static_cast<double>(kAll));
        seen = count;
      }
    });
  }
  int64_t slice = 1;
  for (int64_t row = 0; row < kAll;) {
    const int64_t rows = std::min(slice, kAll - row);
    trace.Reserve(rows);
    for (int64_t k = 0; k < rows; ++k) {
      AppendRow(trace, row++, kColumns);
    }
    ASSERT_TRUE(trace.Publish(static_cast<double>(row)).ok());
    slice = slice % 777 + 13;  // slices of many sizes, none aligned with a block
  }
}

TEST(MemoryTrace, ElapsedTimeIsInterpolatedBetweenSlices) {
  MemoryTrace trace(1);
  EXPECT_EQ(trace.ElapsedAt(0).value(), 0);
  trace.Reserve(21);
  AppendRow(trace, 0, 1);
  ASSERT_TRUE(trace.Publish(0.5).ok());
  for (int64_t row = 1; row <= 10; ++row) {
    AppendRow(trace, row, 1);
  }
  ASSERT_TRUE(trace.Publish(1.5).ok());
  for (int64_t row = 11; row <= 20; ++row) {
    AppendRow(trace, row, 1);
  }
  ASSERT_TRUE(trace.Publish(5.5).ok());
  EXPECT_EQ(trace.ElapsedAt(0).value(), 0.5);
  // Products and sums of a few numbers of order 1: a few roundings.
  EXPECT_NEAR(trace.ElapsedAt(5).value(), 1.0, 1e-15);
  EXPECT_EQ(trace.ElapsedAt(10).value(), 1.5);
  EXPECT_NEAR(trace.ElapsedAt(15).value(), 3.5, 1e-15);
  EXPECT_EQ(trace.ElapsedAt(20).value(), 5.5);
  EXPECT_EQ(trace.ElapsedAt(1000).value(), 5.5);  // not measured yet: the last that is known
}

// 65,536 slice times are kept; beyond, every second one is dropped. With one slice a row and a row
// a second, interpolation is exact whatever was dropped, and the list stays bounded.
TEST(MemoryTrace, ManySlicesAreThinnedAndStillInOrder) {
  MemoryTrace trace(1);
  constexpr int64_t kSlices = 300'000;
  for (int64_t row = 0; row < kSlices; ++row) {
    trace.Reserve(1);
    AppendRow(trace, row, 1);
    ASSERT_TRUE(trace.Publish(static_cast<double>(row)).ok());
  }
  double before = -1;
  for (int64_t row = 0; row < kSlices; row += 997) {
    const double elapsed = trace.ElapsedAt(row).value();
    // The interpolation rounds a quotient and a product of numbers up to 300,000.
    EXPECT_NEAR(elapsed, static_cast<double>(row), 1e-9);
    EXPECT_GT(elapsed, before);
    before = elapsed;
  }
  EXPECT_EQ(trace.ElapsedAt(kSlices - 1).value(), static_cast<double>(kSlices - 1));
  EXPECT_EQ(trace.ElapsedAt(0).value(), 0);
}

}  // namespace
}  // namespace polyak::storage
