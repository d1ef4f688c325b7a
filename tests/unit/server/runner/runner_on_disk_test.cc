// Runs whose trace and checkpoints are on a disk: taken up again, and with a disk that fails or is
// full.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "server/runner/runner.h"
#include "server/storage/file_run_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/runner/prepared.h"

namespace polyak::runner {
namespace {

using engine::StopReason;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::FakeClock;
using testing_support::FaultyFileSystem;

constexpr char kSpec[] =
    "quadratic { spectrum { generated { dimension: 5 condition_number: 1e4 } } } optimizer { "
    "polyak_momentum {} } stopping { max_iterations: 5000 max_duration { seconds: 1 } }";

class RunOnDisk : public ::testing::Test {
 protected:
  RunOnDisk() {
    EXPECT_TRUE(disk_.CreateDirectory("/data").ok());
    storage::FileRunStore::Options options;
    options.columns = engine::kTraceColumns;
    auto store = storage::FileRunStore::Open(files_, "/data", options);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // A run, or what is left of it, on the trace as it is found.
  absl::StatusOr<RunResult> Run(const std::string& uid, const base::Clock& clock,
                                const base::StopToken& stop = {},
                                const base::StopToken& drain = {}) {
    v1::TrainingJob job;
    job.set_uid(uid);
    auto trace = store_->OpenTrace(job);
    if (!trace.ok()) {
      return trace.status();
    }
    trace_ = *std::move(trace);
    RunContext context{uid, *store_, *trace_, stop, drain, clock};
    context.on_pause = [this](const std::string& reason) { pauses_.push_back(reason); };
    return runner::Run(*PreparedOf(kSpec), context);
  }
  void RemoveCheckpoints(const std::string& uid) {
    const auto names = disk_.List("/data/jobs").value();
    for (const std::string& name : names) {
      if (name.starts_with(uid + ".checkpoint")) {
        EXPECT_TRUE(disk_.Remove("/data/jobs/" + name).ok());
      }
    }
  }
  std::vector<std::vector<double>> Records() const {
    return trace_->Read(0, trace_->row_count(), 1)->columns;
  }
  // The records of a run that nothing disturbs.
  std::vector<std::vector<double>> Undisturbed() {
    EXPECT_TRUE(Run("undisturbed", FakeClock(0.004)).ok());
    EXPECT_EQ(trace_->row_count(), 5001);
    return Records();
  }

  testing_support::SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
  std::unique_ptr<storage::FileRunStore> store_;
  std::shared_ptr<storage::Trace> trace_;
  std::vector<std::string> pauses_;
};

// NaN is not equal to itself: as text it is.
void ExpectSame(const std::vector<std::vector<double>>& found,
                const std::vector<std::vector<double>>& expected) {
  EXPECT_TRUE(testing::PrintToString(found) == testing::PrintToString(expected));
}

TEST_F(RunOnDisk, GoesOnWhereItWasStopped) {
  const auto expected = Undisturbed();
  base::StopToken stop;
  stop.RequestStop();  // every run ends after one record
  for (int cut = 0; cut < 7; ++cut) {
    const auto part = Run("u", FakeClock(0.004), stop);
    ASSERT_TRUE(part.ok()) << part.status();
    EXPECT_EQ(part->reason, StopReason::kCancelled);
    EXPECT_EQ(trace_->row_count(), cut + 1);
  }
  const auto rest = Run("u", FakeClock(0.004));
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(rest->reason, StopReason::kMaxIterations);
  EXPECT_EQ(rest->summary.iterations(), 5000);
  EXPECT_EQ(trace_->row_count(), 5001);
  ExpectSame(Records(), expected);
}

TEST_F(RunOnDisk, WithoutACheckpointEverythingIsComputedAgainAndCompared) {
  const auto expected = Undisturbed();
  ASSERT_TRUE(disk_.Remove("/data/jobs/undisturbed.checkpoint").ok());
  const auto again = Run("undisturbed", FakeClock(0.004));
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectSame(Records(), expected);
}

TEST_F(RunOnDisk, AnEndedRunThatIsTakenUpAgainEndsAtOnceInTheSameWay) {
  const auto first = Run("u", FakeClock(0.004));
  const auto second = Run("u", FakeClock(0.004));
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(second->reason, first->reason);
  v1::Summary expected = first->summary;
  v1::Summary found = second->summary;
  expected.clear_training_time();
  found.clear_training_time();
  EXPECT_EQ(found.SerializeAsString(), expected.SerializeAsString());
}

// Lets the disk have room again when the run has looked three times.
class PatientClock : public FakeClock {
 public:
  explicit PatientClock(FaultyFileSystem& files) : FakeClock(0.004), files_(files) {}
  void Sleep(absl::Duration duration) const override {
    FakeClock::Sleep(duration);
    if (++looks_ == 3) {
      files_.SetFreeBytes(std::nullopt);
    }
  }
  int looks() const { return looks_; }

 private:
  FaultyFileSystem& files_;
  mutable int looks_ = 0;
};

TEST_F(RunOnDisk, AFullDiskPausesTheRunAndNothingIsMissingAfterwards) {
  const auto expected = Undisturbed();
  for (const int64_t free : {int64_t{30'000}, int64_t{60'000}, int64_t{61'441}, int64_t{90'000}}) {
    pauses_.clear();
    files_.SetFreeBytes(free);
    const PatientClock clock(files_);
    const std::string uid = absl::StrCat("u", free);
    const auto result = Run(uid, clock);
    ASSERT_TRUE(result.ok()) << free << ": " << result.status();
    EXPECT_EQ(clock.looks(), 3) << free;
    // Half a second each: time on a full disk is not training time, or max_duration ended the run.
    EXPECT_EQ(result->reason, StopReason::kMaxIterations) << free;
    EXPECT_EQ(result->summary.training_time().seconds(), 0) << free;
    EXPECT_THAT(pauses_, ElementsAre(HasSubstr(uid), "")) << free;
    ExpectSame(Records(), expected);
  }
}

TEST_F(RunOnDisk, ADrainDoesNotWaitForAFullDisk) {
  const auto expected = Undisturbed();
  files_.SetFreeBytes(30'000);
  base::StopToken drain;
  drain.RequestStop();
  EXPECT_EQ(Run("u", FakeClock(0.004), {}, drain).status().code(),
            absl::StatusCode::kResourceExhausted);
  files_.SetFreeBytes(std::nullopt);
  ASSERT_TRUE(Run("u", FakeClock(0.004)).ok());
  ExpectSame(Records(), expected);
}

// Asks for an end when the run has looked for room three times.
class ImpatientClock : public FakeClock {
 public:
  explicit ImpatientClock(base::StopToken& stop) : FakeClock(0.004), stop_(stop) {}
  void Sleep(absl::Duration duration) const override {
    FakeClock::Sleep(duration);
    if (++looks_ == 3) {
      stop_.RequestStop();
    }
  }

 private:
  base::StopToken& stop_;
  mutable int looks_ = 0;
};

TEST_F(RunOnDisk, ARunThatWaitsForRoomCanBeCancelledAndKeepsWhatFoundRoom) {
  const auto expected = Undisturbed();
  files_.SetFreeBytes(60'000);
  base::StopToken stop;
  const auto result = Run("u", ImpatientClock(stop), stop);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->reason, StopReason::kCancelled);
  EXPECT_EQ(pauses_.back(), "");
  const int64_t rows = trace_->row_count();
  EXPECT_GT(rows, 0);
  EXPECT_LT(rows, 5001);
  EXPECT_EQ(result->records, rows);
  EXPECT_EQ(result->summary.iterations(), rows - 1);
  EXPECT_EQ(result->summary.final_loss(), Records()[0].back());
  for (size_t column = 0; column < expected.size(); ++column) {
    ExpectSame({Records()[column]}, {{expected[column].begin(), expected[column].begin() + rows}});
  }
}

TEST_F(RunOnDisk, ARunThatFindsNoRoomForItsFirstRecordEndsWithoutOne) {
  base::StopToken stop;
  v1::TrainingJob job;
  job.set_uid("u");
  const auto trace = store_->OpenTrace(job).value();
  files_.SetFreeBytes(0);
  const ImpatientClock clock(stop);
  RunContext context{"u", *store_, *trace, stop, {}, clock};
  const auto result = runner::Run(*PreparedOf(kSpec), context);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->reason, StopReason::kCancelled);
  EXPECT_EQ(result->records, 0);
}

// Readers have seen these records: a run that has lost its checkpoints must not end before them.
TEST_F(RunOnDisk, NeitherACancelNorItsTimeEndsARunBeforeTheRecordsThatWereShown) {
  const auto expected = Undisturbed();
  base::StopToken stop;
  stop.RequestStop();
  for (int cut = 0; cut < 7; ++cut) {  // a record each
    ASSERT_TRUE(Run("u", FakeClock(0.004), stop).ok());
  }
  RemoveCheckpoints("u");
  const auto cancelled = Run("u", FakeClock(0.004), stop);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->reason, StopReason::kCancelled);
  EXPECT_EQ(cancelled->records, 8);
  EXPECT_EQ(trace_->row_count(), 8);
  RemoveCheckpoints("u");
  // Every look at this clock is more than the second that the run may take.
  const auto late = Run("u", FakeClock(1.5));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->reason, StopReason::kTimeLimit);
  EXPECT_GE(late->records, 8);
  EXPECT_EQ(trace_->row_count(), late->records);
}

TEST_F(RunOnDisk, AFailedSyncIsAnsweredByBeginningAgainOnWhatIsThere) {
  const auto expected = Undisturbed();
  int failures = 0;
  for (int64_t nth = 1; nth <= 40; ++nth) {
    FaultyFileSystem::Rule rule;
    rule.call = FaultyFileSystem::Call::kSync;
    rule.path = absl::StrCat("u", nth, ".trace");
    rule.nth = nth;
    const size_t number = files_.AddRule(rule);
    const std::string uid = absl::StrCat("u", nth);
    auto result = Run(uid, FakeClock(0.004));
    if (!result.ok()) {
      ++failures;
      EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable) << result.status();
      result = Run(uid, FakeClock(0.004));
    }
    ASSERT_TRUE(result.ok()) << nth << ": " << result.status();
    ExpectSame(Records(), expected);
    if (files_.fired(number) == 0) {
      break;
    }
  }
  EXPECT_GE(failures, 2);
}

}  // namespace
}  // namespace polyak::runner
