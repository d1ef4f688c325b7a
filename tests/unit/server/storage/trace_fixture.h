#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/storage/file_trace.h"
#include "server/storage/trace.h"

namespace polyak::storage {

constexpr char kPath[] = "/data/jobs/u1.trace";
constexpr char kUid[] = "u1";
constexpr int kColumns = 2;

// The directory of kPath, durable.
inline void MakeDirectories(base::FileSystem& files) {
  EXPECT_TRUE(files.CreateDirectory("/data").ok());
  EXPECT_TRUE(files.CreateDirectory("/data/jobs").ok());
  EXPECT_TRUE(files.SyncDirectory("/data").ok());
  EXPECT_TRUE(files.SyncDirectory("/").ok());
}

// What column c of row t holds: every cell other bits, now and then no number.
inline double Cell(int64_t row, int column) {
  const double value = 1.0 + static_cast<double>(row) + 0.125 * column;
  switch (row % 97 + 10 * column) {
    case 13:
      return std::numeric_limits<double>::quiet_NaN();
    case 29:
      return std::numeric_limits<double>::infinity();
    default:
      return row % 2 == 0 ? value : -1 / value;
  }
}

inline bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

inline void AppendRows(TraceWriter& trace, int64_t from, int64_t to, int columns = kColumns) {
  trace.Reserve(to - from);
  std::vector<double> row(static_cast<size_t>(columns));
  for (int64_t t = from; t < to; ++t) {
    for (int c = 0; c < columns; ++c) {
      row[static_cast<size_t>(c)] = Cell(t, c);
    }
    trace.Append(row);
  }
}

// A second of training a thousand rows.
inline absl::Status Publish(TraceWriter& trace, int64_t rows) {
  return trace.Publish(static_cast<double>(rows) / 1000);
}

// The first wrong row, or -1.
inline int64_t FirstWrongRow(const Columns& read, int64_t stride = 1) {
  for (int64_t k = 0; k < read.row_count(); ++k) {
    for (size_t c = 0; c < read.columns.size(); ++c) {
      if (!SameBits(read.columns[c][static_cast<size_t>(k)],
                    Cell(read.first_row + k * stride, static_cast<int>(c)))) {
        return read.first_row + k * stride;
      }
    }
  }
  return -1;
}

// Holds what a trace shows against what was written.
inline ::testing::AssertionResult IsPrefix(const TraceReader& trace) {
  const auto read = trace.Read(0, trace.row_count() + 1, 1);
  if (!read.ok()) {
    return ::testing::AssertionFailure() << read.status();
  }
  if (read->row_count() != trace.row_count()) {
    return ::testing::AssertionFailure()
           << read->row_count() << " rows of " << trace.row_count() << " are read";
  }
  const int64_t wrong = FirstWrongRow(*read);
  return wrong < 0 ? ::testing::AssertionSuccess()
                   : ::testing::AssertionFailure() << "row " << wrong << " is wrong";
}

}  // namespace polyak::storage
