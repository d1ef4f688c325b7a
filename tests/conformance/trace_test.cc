// Both traces under one roof: whatever is written in slices of any size is read back by any slice,
// stride and summary as from a plain table, by many threads while it grows.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/base/posix_file_system.h"
#include "server/storage/file_trace.h"
#include "server/storage/memory_trace.h"

namespace polyak::storage {
namespace {

constexpr int kColumns = 3;

// A trace, and what it stands on.
class Holder {
 public:
  virtual ~Holder() = default;
  virtual TraceWriter& writer() = 0;
  virtual const TraceReader& reader() const = 0;
};

class MemoryHolder : public Holder {
 public:
  TraceWriter& writer() override { return trace_; }
  const TraceReader& reader() const override { return trace_; }

 private:
  MemoryTrace trace_{kColumns};
};

// In a file on the machine's disk.
class FileHolder : public Holder {
 public:
  FileHolder() {
    std::string directory = "/tmp/polyak_trace_XXXXXX";
    EXPECT_NE(mkdtemp(directory.data()), nullptr);
    path_ = directory + "/u1.trace";
    trace_ = FileTrace::Create(files_, path_, "u1", kColumns, "").value();
  }
  ~FileHolder() override {
    EXPECT_TRUE(files_.Remove(path_).ok());
    rmdir(path_.substr(0, path_.rfind('/')).c_str());
  }
  TraceWriter& writer() override { return *trace_; }
  const TraceReader& reader() const override { return *trace_; }

 private:
  base::PosixFileSystem files_;
  std::string path_;
  std::unique_ptr<FileTrace> trace_;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Holder>()> make;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

using Table = std::vector<std::vector<double>>;  // a column each

Table MakeTable(int64_t rows, uint64_t seed) {
  std::mt19937_64 random(seed);
  Table table(kColumns);
  for (int64_t row = 0; row < rows; ++row) {
    for (int c = 0; c < kColumns; ++c) {
      double value = std::bit_cast<double>(random());  // any bits, NaNs with payloads among them
      if (random() % 8 != 0) {
        value = static_cast<double>(static_cast<int64_t>(random() >> 40)) - 8e6;
      }
      table[static_cast<size_t>(c)].push_back(row / 1500 % 3 == c ? std::nan("7") : value);
    }
  }
  return table;
}

int64_t RowsOf(const Table& table) { return static_cast<int64_t>(table[0].size()); }

void Append(TraceWriter& writer, const Table& table, int64_t from, int64_t to) {
  writer.Reserve(to - from);
  std::vector<double> row(kColumns);
  for (int64_t t = from; t < to; ++t) {
    for (size_t c = 0; c < kColumns; ++c) {
      row[c] = table[c][static_cast<size_t>(t)];
    }
    writer.Append(row);
  }
}

// Slices from one row to several blocks; a second is a thousand rows.
void Write(TraceWriter& writer, const Table& table, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (int64_t row = 0; row < RowsOf(table);) {
    const auto slice = static_cast<int64_t>(random() % (uint64_t{1} << (random() % 14))) + 1;
    const int64_t to = std::min(row + slice, RowsOf(table));
    Append(writer, table, row, to);
    ASSERT_TRUE(writer.Publish(static_cast<double>(to) / 1000).ok());
    row = to;
    if (random() % 8 == 0) {
      ASSERT_TRUE(writer.Sync().ok());
    }
  }
}

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

bool IsSlice(const Columns& read, const Table& table, int64_t first, int64_t count,
             int64_t stride) {
  if (read.first_row != first || read.columns.size() != kColumns || read.row_count() != count) {
    return false;
  }
  for (size_t c = 0; c < kColumns; ++c) {
    for (int64_t k = 0; k < count; ++k) {
      if (!SameBits(read.columns[c][static_cast<size_t>(k)],
                    table[c][static_cast<size_t>(first + k * stride)])) {
        return false;
      }
    }
  }
  return true;
}

ColumnSummary PlainSummary(const std::vector<double>& column, int64_t begin, int64_t end) {
  ColumnSummary summary;
  for (int64_t row = begin; row < end; ++row) {
    const double value = column[static_cast<size_t>(row)];
    summary.first = summary.count == 0 ? value : summary.first;
    summary.last = value;
    ++summary.count;
    if (!std::isfinite(value)) {
      ++summary.non_finite;
    } else {
      summary.min = std::isnan(summary.min) ? value : std::min(summary.min, value);
      summary.max = std::isnan(summary.max) ? value : std::max(summary.max, value);
    }
  }
  return summary;
}

bool SameSummary(const ColumnSummary& a, const ColumnSummary& b) {
  const auto same = [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  return same(a.first, b.first) && same(a.last, b.last) && same(a.min, b.min) &&
         same(a.max, b.max) && a.count == b.count && a.non_finite == b.non_finite;
}

class TraceConformance : public ::testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Holder> holder_ = GetParam().make();
  const TraceReader& reader() const { return holder_->reader(); }
};

TEST_P(TraceConformance, AnySliceAtAnyStrideIsThatOfATable) {
  const Table table = MakeTable(30'000, 1);
  Write(holder_->writer(), table, 2);
  ASSERT_EQ(reader().row_count(), RowsOf(table));
  std::mt19937_64 random(3);
  for (int k = 0; k < 500; ++k) {
    const auto first = static_cast<int64_t>(random() % 31'000);
    const auto stride = static_cast<int64_t>(random() % (uint64_t{1} << (random() % 16))) + 1;
    const auto most = static_cast<int64_t>(random() % 9'000);
    const int64_t there =
        first < RowsOf(table) ? (RowsOf(table) - 1 - first) / stride + 1 : int64_t{0};
    const auto read = reader().Read(first, most, stride);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_TRUE(IsSlice(*read, table, first, std::min(there, most), stride))
        << first << " " << most << " " << stride;
  }
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(reader().Read(kLargest, 5, kLargest)->row_count(), 0);
  EXPECT_EQ(reader().Read(5, kLargest, kLargest)->row_count(), 1);
  EXPECT_EQ(reader().Read(0, kLargest, 1)->row_count(), RowsOf(table));
}

TEST_P(TraceConformance, SummariesAreThoseOfAPlainLoop) {
  const Table table = MakeTable(20'000, 4);
  Write(holder_->writer(), table, 5);
  std::mt19937_64 random(6);
  for (int k = 0; k < 200; ++k) {
    std::vector<int64_t> edges;
    for (uint64_t edge = random() % 40; edge > 0; --edge) {
      // Rows and borders of blocks, some of them twice, some beyond the end.
      const auto row = static_cast<int64_t>(random() % 22'000);
      edges.push_back(random() % 2 == 0 ? row : row / 1024 * 1024);
    }
    std::sort(edges.begin(), edges.end());
    const int column = static_cast<int>(random() % kColumns);
    const auto summaries = reader().Summarize(column, edges);
    ASSERT_TRUE(summaries.ok()) << summaries.status();
    ASSERT_EQ(summaries->size(), edges.empty() ? 0 : edges.size() - 1);
    for (size_t bin = 0; bin < summaries->size(); ++bin) {
      const int64_t end = std::min(edges[bin + 1], RowsOf(table));
      ASSERT_TRUE(SameSummary((*summaries)[bin],
                              PlainSummary(table[static_cast<size_t>(column)], edges[bin], end)))
          << edges[bin] << " to " << edges[bin + 1];
    }
  }
}

TEST_P(TraceConformance, RowsShowWhenPublishedAndNotBefore) {
  const Table table = MakeTable(5000, 7);
  EXPECT_EQ(reader().row_count(), 0);
  EXPECT_EQ(reader().Read(0, 10, 1)->row_count(), 0);
  EXPECT_EQ(reader().Summarize(0, std::vector<int64_t>{0, 10}).value()[0].count, 0);
  EXPECT_EQ(reader().ElapsedAt(0).value(), 0);
  Append(holder_->writer(), table, 0, 3000);
  EXPECT_EQ(reader().Read(0, 10, 1)->row_count(), 0);
  ASSERT_TRUE(holder_->writer().Publish(3).ok());
  EXPECT_EQ(reader().row_count(), 3000);
  Append(holder_->writer(), table, 3000, 5000);
  EXPECT_EQ(reader().row_count(), 3000);
  EXPECT_EQ(reader().Read(2990, 100, 1)->row_count(), 10);
  ASSERT_TRUE(holder_->writer().Publish(5).ok());
  ASSERT_TRUE(holder_->writer().Publish(6).ok());  // nothing new
  EXPECT_EQ(reader().row_count(), 5000);
  EXPECT_EQ(reader().ElapsedAt(4999).value(), 5);
}

// One second a thousand rows: every time lies on the line, whatever was measured of it.
TEST_P(TraceConformance, TrainingTimeLiesBetweenTheEndsOfSlices) {
  const Table table = MakeTable(20'000, 8);
  Write(holder_->writer(), table, 9);
  for (int64_t row = 0; row < RowsOf(table); row += 3) {
    // Sums and quotients of numbers up to 20: a few roundings.
    ASSERT_NEAR(reader().ElapsedAt(row).value(), static_cast<double>(row + 1) / 1000, 1e-12);
  }
  EXPECT_EQ(reader().ElapsedAt(1'000'000).value(), 20);
}

TEST_P(TraceConformance, SaysHowMuchMemoryItHolds) {
  const int64_t before = reader().memory_bytes();
  holder_->writer().Reserve(100'000);
  EXPECT_GE(reader().memory_bytes(), before + 100'000 * kColumns * 8);
}

TEST_P(TraceConformance, ReadersSeeWholePublishedRowsWhileItGrows) {
  const Table table = MakeTable(100'000, 10);
  std::atomic<int64_t> wrong = 0;
  std::vector<std::jthread> readers;
  for (int k = 0; k < 4; ++k) {
    readers.emplace_back([&, k] {
      std::mt19937_64 random(static_cast<uint64_t>(k));
      for (int64_t seen = 0; seen < RowsOf(table);) {
        const int64_t count = reader().row_count();
        if (count == seen) {
          std::this_thread::yield();
          continue;
        }
        const auto fresh = reader().Read(seen, count - seen, 1);
        wrong += !fresh.ok() || !IsSlice(*fresh, table, seen, count - seen, 1) ? 1 : 0;
        const auto from = static_cast<int64_t>(random() % static_cast<uint64_t>(count));
        const auto summary = reader().Summarize(k % kColumns, std::vector<int64_t>{from, count});
        wrong += !summary.ok() ||
                         !SameSummary(
                             (*summary)[0],
                             PlainSummary(table[static_cast<size_t>(k % kColumns)], from, count))
                     ? 1
                     : 0;
        wrong += reader().ElapsedAt(from).ok() ? 0 : 1;
        seen = count;
      }
    });
  }
  Write(holder_->writer(), table, 11);
  readers.clear();
  EXPECT_EQ(wrong.load(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Traces, TraceConformance,
    ::testing::Values(Kind{"memory", [] { return std::make_unique<MemoryHolder>(); }},
                      Kind{"file", [] { return std::make_unique<FileHolder>(); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace polyak::storage
