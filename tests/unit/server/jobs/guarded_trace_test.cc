#include "server/jobs/guarded_trace.h"

#include <array>

#include "gtest/gtest.h"
#include "server/storage/memory_trace.h"

namespace polyak::jobs {
namespace {

// Of two rows, the second of which is damaged.
class HalfTrace : public storage::MemoryTrace {
 public:
  HalfTrace() : storage::MemoryTrace(1) {
    Reserve(2);
    Append(std::array{1.0});
    Append(std::array{2.0});
    EXPECT_TRUE(Publish(1).ok());
  }
  absl::StatusOr<storage::Columns> Read(int64_t first, int64_t max, int64_t stride) const override {
    if (first + max > 1) {
      return absl::DataLossError("row 1");
    }
    return storage::MemoryTrace::Read(first, max, stride);
  }
  absl::StatusOr<double> ElapsedAt(int64_t row) const override {
    if (row > 1) {
      return absl::UnavailableError("the disk");
    }
    return absl::DataLossError("time");
  }
};

TEST(GuardedTrace, TellsOfDamageAloneAndAnswersWhatItIsTold) {
  int told = 0;
  const GuardedTrace trace(std::make_shared<HalfTrace>(), [&told](const absl::Status& error) {
    ++told;
    return absl::DataLossError(std::string{error.message()} + ", and more");
  });
  EXPECT_EQ(trace.row_count(), 2);
  EXPECT_TRUE(trace.in_memory(0));
  EXPECT_GT(trace.memory_bytes(), 0);
  EXPECT_EQ(trace.Read(0, 1, 1)->columns[0][0], 1.0);
  const std::array<int64_t, 2> edges = {0, 2};
  EXPECT_EQ(trace.Summarize(0, edges)->at(0).max, 2.0);
  EXPECT_TRUE(absl::IsUnavailable(trace.ElapsedAt(2).status()));
  EXPECT_EQ(told, 0);
  EXPECT_EQ(trace.Read(0, 2, 1).status(), absl::DataLossError("row 1, and more"));
  EXPECT_EQ(trace.ElapsedAt(0).status(), absl::DataLossError("time, and more"));
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace polyak::jobs
