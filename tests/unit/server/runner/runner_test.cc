#include "server/runner/runner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <span>
#include <vector>

#include "gmock/gmock.h"
#include "server/storage/memory_trace.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/server/runner/prepared.h"
#include "tests/unit/server/runner/run_in_memory.h"

namespace polyak::runner {
namespace {

using engine::StopReason;
using testing_support::FakeClock;

// Keeps the rows of a run and notes every slice: its length, and the time it was published with.
class SliceRecorder : public storage::MemoryTrace {
 public:
  struct Slice {
    int64_t records;
    double elapsed_seconds;
  };

  SliceRecorder() : storage::MemoryTrace(engine::kTraceColumns) {}

  void Append(std::span<const double> row) noexcept override {
    storage::MemoryTrace::Append(row);
    ++records_;
    if (records_ == stop_after_) {
      token_->RequestStop();
    }
  }
  absl::Status Publish(double elapsed_seconds) override {
    absl::Status status = storage::MemoryTrace::Publish(elapsed_seconds);
    slices.push_back({row_count() - published_, elapsed_seconds});
    published_ = row_count();
    return status;
  }
  // Asks to stop while this record is appended, as a client may at any moment.
  void StopAfter(int64_t records, base::StopToken& token) {
    stop_after_ = records;
    token_ = &token;
  }
  int64_t appended() const { return records_; }
  double At(int64_t row, int column) const {
    return Read(row, 1, 1).value().columns[static_cast<size_t>(column)][0];
  }

  std::vector<Slice> slices;

 private:
  int64_t records_ = 0;
  int64_t published_ = 0;
  int64_t stop_after_ = -1;
  base::StopToken* token_ = nullptr;
};

const char kSlow[] =
    "quadratic { spectrum { generated { dimension: 2 condition_number: 1e8 } } } optimizer { "
    "gradient_descent {} } ";

RunResult RunOf(const std::string& text, SliceRecorder& trace, const base::Clock& clock,
                const base::StopToken& stop = {}) {
  auto result = RunInMemory(*PreparedOf(text), trace, clock, stop);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

TEST(Runner, RecordsTheStartAndEveryIteration) {
  SliceRecorder trace;
  const FakeClock clock;
  const RunResult result =
      RunOf(std::string(kSlow) + "stopping { max_iterations: 1000 }", trace, clock);
  EXPECT_EQ(result.reason, StopReason::kMaxIterations);
  EXPECT_EQ(trace.row_count(), 1001);
  EXPECT_EQ(result.summary.iterations(), 1000);
  EXPECT_EQ(result.summary.initial_loss(), trace.At(0, engine::kLoss));
  EXPECT_EQ(result.summary.final_loss(), trace.At(1000, engine::kLoss));
  EXPECT_EQ(result.summary.final_residual_norm(), trace.At(1000, engine::kResidualNorm));
}

TEST(Runner, ZeroIterationsIsRecordZeroAlone) {
  SliceRecorder trace;
  const FakeClock clock;
  const RunResult result =
      RunOf(std::string(kSlow) + "stopping { max_iterations: 0 }", trace, clock);
  EXPECT_EQ(result.reason, StopReason::kMaxIterations);
  EXPECT_EQ(trace.row_count(), 1);
  EXPECT_EQ(result.summary.iterations(), 0);
}

TEST(Runner, TheFirstSliceIsOneRecordAndLaterOnesGrowFourfold) {
  SliceRecorder trace;
  const FakeClock clock;  // slices take no time at all
  RunOf(std::string(kSlow) + "stopping { max_iterations: 200000 }", trace, clock);
  ASSERT_GE(trace.slices.size(), 10u);
  int64_t expected = 1;
  for (size_t k = 0; k + 1 < trace.slices.size(); ++k) {
    EXPECT_EQ(trace.slices[k].records, expected);
    expected = std::min<int64_t>(4 * expected, 65'536);
  }
}

// A clock that moves 1 ms with each record: slices of 10 ms hold 10 records.
class ClockOfRecords : public base::Clock {
 public:
  ClockOfRecords(const SliceRecorder& trace, double seconds_per_record)
      : trace_(trace), seconds_per_record_(seconds_per_record) {}
  double MonotonicSeconds() const override {
    return static_cast<double>(trace_.appended()) * seconds_per_record_;
  }
  absl::Time WallTime() const override { return absl::UnixEpoch(); }
  void Sleep(absl::Duration /*duration*/) const override {}

 private:
  const SliceRecorder& trace_;
  const double seconds_per_record_;
};

TEST(Runner, SlicesAreSizedByTheTimeTheyTake) {
  SliceRecorder trace;
  // A power of two, so that sums of it are exact.
  const ClockOfRecords clock(trace, 0.0009765625);
  RunOf(std::string(kSlow) + "stopping { max_iterations: 500 }", trace, clock);
  // 1, 4, 4 x 0.010 / 0.0039 = 10.24, and there they stay: 0.010 / 0.000977 = 10.24.
  EXPECT_EQ(trace.slices[0].records, 1);
  EXPECT_EQ(trace.slices[1].records, 4);
  for (size_t k = 2; k + 1 < trace.slices.size(); ++k) {
    EXPECT_EQ(trace.slices[k].records, 10) << k;
    EXPECT_LE(trace.slices[k].elapsed_seconds - trace.slices[k - 1].elapsed_seconds, 0.020);
  }
}

TEST(Runner, ARecordLongerThanASliceIsASliceOfItsOwn) {
  SliceRecorder trace;
  const ClockOfRecords clock(trace, 1);
  RunOf(std::string(kSlow) + "stopping { max_iterations: 20 }", trace, clock);
  EXPECT_EQ(trace.slices.size(), 21u);
}

TEST(Runner, HowItIsCutIntoSlicesLeavesNoTraceInTheNumbers) {
  const std::string text = std::string(kSlow) + "stopping { max_iterations: 300 }";
  SliceRecorder quick;
  SliceRecorder slow;
  RunOf(text, quick, FakeClock());
  RunOf(text, slow, ClockOfRecords(slow, 1));
  ASSERT_EQ(quick.row_count(), slow.row_count());
  for (int64_t row = 0; row < quick.row_count(); ++row) {
    EXPECT_EQ(quick.At(row, engine::kLoss), slow.At(row, engine::kLoss));
    EXPECT_EQ(quick.At(row, engine::kResidualNorm), slow.At(row, engine::kResidualNorm));
  }
}

TEST(Runner, TheTimeLimitEndsARunAfterTheSliceThatReachesIt) {
  SliceRecorder trace;
  const ClockOfRecords clock(trace, 1);
  const RunResult result =
      RunOf(std::string(kSlow) + "stopping { max_iterations: 1000 max_duration { seconds: 7 } }",
            trace, clock);
  EXPECT_EQ(result.reason, StopReason::kTimeLimit);
  EXPECT_EQ(trace.row_count(), 7);
  EXPECT_EQ(result.summary.iterations(), 6);
  EXPECT_EQ(result.summary.training_time().seconds(), 7);
}

TEST(Runner, ACancelEndsARunWithTheRecordAtHand) {
  for (const int64_t record : {1, 2, 500}) {
    SliceRecorder trace;
    base::StopToken stop;
    trace.StopAfter(record, stop);
    const RunResult result = RunOf(std::string(kSlow) + "stopping { max_iterations: 1000000 }",
                                   trace, FakeClock(), stop);
    EXPECT_EQ(result.reason, StopReason::kCancelled);
    EXPECT_EQ(trace.row_count(), record);
    EXPECT_EQ(result.summary.iterations(), record - 1);
  }
}

TEST(Runner, AStopAskedForBeforeTheStartStillRecordsTheStart) {
  SliceRecorder trace;
  base::StopToken stop;
  stop.RequestStop();
  EXPECT_EQ(RunOf(kSlow, trace, FakeClock(), stop).reason, StopReason::kCancelled);
  EXPECT_EQ(trace.row_count(), 1);
}

// DIVERGED, CONVERGED, MAX_ITERATIONS, TIME_LIMIT, CANCELLED: at one record the earlier wins.
TEST(Runner, AtOneRecordTheEarlierReasonWins) {
  const auto reason = [](const std::string& problem, const std::string& stopping) {
    SliceRecorder trace;
    base::StopToken stop;
    stop.RequestStop();
    return RunOf(problem + "stopping { " + stopping + " max_duration { nanos: 1 } }", trace,
                 ClockOfRecords(trace, 1), stop)
        .reason;
  };
  EXPECT_EQ(reason(kSlow, ""), StopReason::kTimeLimit);
  EXPECT_EQ(reason(kSlow, "max_iterations: 0"), StopReason::kMaxIterations);
  // It starts at its minimiser: loss 0 is converged.
  EXPECT_EQ(reason("quadratic { spectrum { explicit { eigenvalues: [1, 2] } } initial_point: [0, "
                   "0] } optimizer { gradient_descent {} } ",
                   "max_iterations: 0"),
            StopReason::kConverged);
  // 1e200 squared is no number.
  EXPECT_EQ(reason("quadratic { spectrum { explicit { eigenvalues: [1, 2] } } initial_point: "
                   "[1e200, 0] } optimizer { gradient_descent {} } ",
                   "max_iterations: 0"),
            StopReason::kDiverged);
}

TEST(Runner, NumbersThatLeaveTheRangeAreKeptAsTheyAre) {
  SliceRecorder trace;
  const FakeClock clock;
  const RunResult result = RunOf(
      "quadratic { spectrum { explicit { eigenvalues: [1, 2] } } initial_point: [1, 1] } "
      "optimizer { gradient_descent { step_size: 1e300 } }",
      trace, clock);
  EXPECT_EQ(result.reason, StopReason::kDiverged);
  const int64_t last = trace.row_count() - 1;
  EXPECT_EQ(last, 1);
  EXPECT_EQ(trace.At(last, engine::kLoss), std::numeric_limits<double>::infinity());
  EXPECT_EQ(result.summary.final_loss(), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(trace.At(last, engine::kRateEstimate)));
  EXPECT_FALSE(result.summary.has_measured_rate());
}

TEST(Runner, TheSummaryIsFilled) {
  SliceRecorder trace;
  const RunResult result = RunOf(
      "quadratic { spectrum { generated { dimension: 10 condition_number: 100 } } } optimizer "
      "{ polyak_momentum {} } stopping { max_iterations: 1000 }",
      trace, FakeClock());
  EXPECT_TRUE(result.summary.has_measured_rate());
  EXPECT_EQ(result.summary.certificate().verdict(), v1::Certificate::VERDICT_PASS);
  EXPECT_GT(result.summary.certificate().iterations_checked(), 0);
  EXPECT_GT(result.summary.peak_ratio(), 0);
  EXPECT_NE(result.summary.overall_rate().method(), "");
  EXPECT_NE(result.summary.quotient_rate().method(), "");
  EXPECT_FALSE(result.summary.has_flipped_share());  // a quadratic has no activations
  SliceRecorder network;
  EXPECT_TRUE(RunOf("relu_network { width: 8 dataset { name: 'datasets/digits' first_examples: 5 } "
                    "} optimizer { polyak_momentum {} } stopping { max_iterations: 3 }",
                    network, FakeClock())
                  .summary.has_flipped_share());
}

// A writer whose memory ends: the run answers an error, and what was published stays.
class FullTrace : public SliceRecorder {
 public:
  void Reserve(int64_t rows) override {
    if (row_count() >= 5) {
      throw std::bad_alloc();
    }
    SliceRecorder::Reserve(rows);
  }
};

TEST(Runner, MemoryThatRunsOutIsAnErrorNotTheEndOfTheProgram) {
  FullTrace trace;
  const auto result = RunInMemory(*PreparedOf(kSlow), trace, FakeClock());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted) << result.status();
  EXPECT_GE(trace.row_count(), 5);
}

}  // namespace
}  // namespace polyak::runner
