// Several runs in step: every one ends as it would alone, with the same records.

#include "server/runner/stepped_run.h"

#include <atomic>
#include <cmath>
#include <cstdint>
#include <latch>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/storage/file_run_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/engine/trainer/scripted_run.h"
#include "tests/unit/server/runner/prepared.h"

namespace polyak::runner {
namespace {

using engine::StopReason;
using testing_support::FakeClock;
using testing_support::FaultyFileSystem;

constexpr char kMatrix[] =
    "quadratic { matrix { rows: 3 cols: 3 values: [2, 1, 0, 1, 3, 1, 0, 1, 4] } } plan: "
    "EXECUTION_PLAN_DENSE ";

constexpr char kDiagnosed[] = " diagnostics_interval: 3";

// What a sweep is made of: other methods, parameters, seeds and ends of one matrix, some of them
// diagnosed.
std::vector<std::string> Specs() {
  std::vector<std::string> specs;
  for (int k = 0; k < 9; ++k) {
    const std::string step_size = absl::StrCat("step_size: ", 0.05 * (k + 1));
    const std::string optimizer =
        k % 3 == 0 ? absl::StrCat("gradient_descent { ", step_size, " }")
                   : absl::StrCat(k % 3 == 1 ? "polyak_momentum { " : "nesterov_momentum { ",
                                  step_size, " momentum: ", 0.1 * k, " }");
    specs.push_back(absl::StrCat(kMatrix, "seed: ", k % 2, k % 5 == 2 ? kDiagnosed : "",
                                 " optimizer { ", optimizer,
                                 " } stopping { max_iterations: ", k == 4 ? 0 : 700 * (k + 1),
                                 k % 4 == 1 ? " relative_loss: 1e-9" : "", " }"));
  }
  return specs;
}

class RunsInStep : public ::testing::Test {
 protected:
  RunsInStep() {
    EXPECT_TRUE(disk_.CreateDirectory("/data").ok());
    storage::FileRunStore::Options options;
    options.columns = engine::kTraceColumns;
    options.diagnostic_columns = engine::kDiagnosticColumns;
    store_ = storage::FileRunStore::Open(files_, "/data", options).value();
    for (const std::string& spec : Specs()) {
      spec::Violations violations;
      prepared_.push_back(Prepare(ParsedOf(spec), violations, &known_));
    }
    for (size_t k = 0; k < prepared_.size(); ++k) {
      Member alone = Open(k, "alone", clock_);
      expected_.push_back(runner::Run(*prepared_[k], *alone.context));
      expected_records_.push_back(Records(*alone.trace));
    }
  }

  struct Member {
    std::shared_ptr<storage::Trace> trace;
    std::unique_ptr<base::StopToken> stop = std::make_unique<base::StopToken>();
    std::unique_ptr<RunContext> context;
    std::unique_ptr<SteppedRun> run;
  };
  Member Open(size_t k, const std::string& kind, const base::Clock& clock) {
    Member member;
    v1::TrainingJob job;
    job.set_uid(absl::StrCat(kind, "-", k));
    job.mutable_spec()->set_diagnostics_interval(prepared_[k]->spec.diagnostics_interval);
    member.trace = store_->OpenTrace(job).value();
    member.context = std::make_unique<RunContext>(
        RunContext{job.uid(), *store_, *member.trace, *member.stop, drain_, clock});
    member.context->on_pause = [this](const std::string& reason) {
      paused_ = paused_ || !reason.empty();
    };
    member.run = std::make_unique<SteppedRun>(*prepared_[k], *member.context);
    return member;
  }
  std::vector<Member> OpenAll() { return OpenAll(clock_); }
  std::vector<Member> OpenAll(const base::Clock& clock) {
    std::vector<Member> members;
    for (size_t k = 0; k < prepared_.size(); ++k) {
      members.push_back(Open(k, "together", clock));
    }
    return members;
  }
  // One slice of those that go on. False if there is none.
  bool AdvanceAll(const std::vector<Member>& members) { return AdvanceAll(members, clock_); }
  static bool AdvanceAll(const std::vector<Member>& members, const base::Clock& clock) {
    std::vector<SteppedRun*> runs;
    for (const Member& member : members) {
      if (!member.run->ended()) {
        runs.push_back(member.run.get());
      }
    }
    AdvanceBySlice(runs, clock);
    return !runs.empty();
  }
  static std::string Records(const storage::Trace& trace) {
    return testing::PrintToString(trace.Read(0, trace.row_count(), 1)->columns);
  }
  void ExpectAsAlone(Member& member, size_t k) {
    const auto result = member.run->TakeResult();
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_TRUE(expected_[k].ok()) << expected_[k].status();
    EXPECT_EQ(result->reason, expected_[k]->reason);
    v1::Summary found = result->summary;
    v1::Summary wanted = expected_[k]->summary;
    found.clear_training_time();
    wanted.clear_training_time();
    EXPECT_EQ(found.SerializeAsString(), wanted.SerializeAsString()) << k;
    EXPECT_TRUE(Records(*member.trace) == expected_records_[k]) << k;
  }

  void ExpectAllButOneAsAlone(std::vector<Member>& members, size_t one) {
    for (size_t k = 0; k < members.size(); ++k) {
      if (k != one) {
        ExpectAsAlone(members[k], k);
      }
    }
  }
  void ReplaceStepper(size_t k, decltype(engine::PlanEntry::make) make) {
    auto job = std::make_shared<PreparedJob>(*prepared_[k]);
    replaced_ = *job->plan.entry;
    replaced_.make = make;
    job->plan.entry = &replaced_;
    prepared_[k] = job;
  }

  engine::PlanEntry replaced_;
  KnownProblems known_;
  testing_support::SimulatedDisk disk_;
  FaultyFileSystem files_{disk_};
  FakeClock clock_{0.0007};
  base::StopToken drain_;
  std::unique_ptr<storage::FileRunStore> store_;
  std::vector<std::shared_ptr<const PreparedJob>> prepared_;
  std::vector<absl::StatusOr<RunResult>> expected_;
  std::vector<std::string> expected_records_;
  bool paused_ = false;
};

TEST_F(RunsInStep, ShareTheMatrixAndEndAsEachWouldAlone) {
  const auto& first = std::get<0>(prepared_[0]->experiment.problem);
  const auto& second = std::get<0>(prepared_[1]->experiment.problem);
  EXPECT_NE(first, second);  // other seeds
  EXPECT_EQ(&first->matrix(), &second->matrix());
  EXPECT_EQ(first, std::get<0>(prepared_[2]->experiment.problem));
  auto members = OpenAll();
  while (AdvanceAll(members)) {
  }
  for (size_t k = 0; k < members.size(); ++k) {
    ExpectAsAlone(members[k], k);
  }
}

TEST_F(RunsInStep, HaveTheDiagnosticsOfARunAlone) {
  auto members = OpenAll();
  while (AdvanceAll(members)) {
  }
  const auto columns = members[2].trace->Read(0, members[2].trace->row_count(), 1)->columns;
  ASSERT_EQ(columns.size(), size_t{engine::kDiagnosedTraceColumns});
  for (size_t t = 0; t < 10; ++t) {
    EXPECT_EQ(std::isnan(columns[engine::kDistanceFromStart][t]), t % 3 != 0) << t;
  }
  EXPECT_GT(columns[engine::kDistanceFromStart][9], columns[engine::kDistanceFromStart][3]);
  EXPECT_NEAR(columns[engine::kLargestEigenvalue][0], 3 + std::sqrt(3), 1e-12);
  ExpectAsAlone(members[2], 2);
}

TEST_F(RunsInStep, AreAsLongAsTheirSharesOfTheTime) {
  auto members = OpenAll();
  const double begin = clock_.MonotonicSeconds();
  while (AdvanceAll(members)) {
  }
  const double passed = clock_.MonotonicSeconds() - begin;
  double shares = 0;
  for (Member& member : members) {
    const auto result = member.run->TakeResult();
    ASSERT_TRUE(result.ok());
    shares += static_cast<double>(result->summary.training_time().seconds()) +
              1e-9 * result->summary.training_time().nanos();
  }
  EXPECT_LE(shares, passed);
}

// Whether the next ones go on together or alone.
TEST_F(RunsInStep, GoOnWithTheSameBitsAfterACrash) {
  for (int slices = 1; slices < 14; slices += 3) {
    {
      auto members = OpenAll();
      for (int slice = 0; slice < slices; ++slice) {
        AdvanceAll(members);
      }
    }  // gone in mid-run
    auto members = OpenAll();
    std::vector<Member> others;
    for (size_t k = 0; k < members.size(); ++k) {
      if (k % 2 == 0) {
        others.push_back(std::move(members[k]));
      } else {
        while (!members[k].run->ended()) {
          SteppedRun* const run = members[k].run.get();
          AdvanceBySlice({&run, 1}, clock_);
        }
        ExpectAsAlone(members[k], k);
      }
    }
    while (AdvanceAll(others)) {
    }
    for (size_t k = 0; k < others.size(); ++k) {
      ExpectAsAlone(others[k], 2 * k);
    }
    for (size_t k = 0; k < members.size(); ++k) {
      ASSERT_TRUE(store_->Remove(absl::StrCat("together-", k)).ok());
    }
  }
}

TEST_F(RunsInStep, OneThatIsStoppedLeavesTheOthersAlone) {
  auto members = OpenAll();
  AdvanceAll(members);
  AdvanceAll(members);
  members[8].stop->RequestStop();
  AdvanceAll(members);
  ASSERT_TRUE(members[8].run->ended());
  const auto stopped = members[8].run->TakeResult();
  ASSERT_TRUE(stopped.ok());
  EXPECT_EQ(stopped->reason, StopReason::kCancelled);
  EXPECT_TRUE(expected_records_[8].starts_with("{ { ") && stopped->records > 0);
  members.pop_back();
  while (AdvanceAll(members)) {
  }
  for (size_t k = 0; k < members.size(); ++k) {
    ExpectAsAlone(members[k], k);
  }
}

TEST_F(RunsInStep, WaitForRoomWithoutHoldingAnybodyUp) {
  auto members = OpenAll();
  AdvanceAll(members);
  files_.SetFreeBytes(0);
  for (int look = 0; look < 3; ++look) {
    AdvanceAll(members);  // returns: whoever needs room waits
  }
  EXPECT_TRUE(paused_);
  EXPECT_TRUE(members[8].run->waits());
  EXPECT_FALSE(members[8].run->ended());
  files_.SetFreeBytes(std::nullopt);
  while (AdvanceAll(members)) {
  }
  for (size_t k = 0; k < members.size(); ++k) {
    ExpectAsAlone(members[k], k);
  }
}

// As after a drain: the checkpoint is at the last record, and the next one finds no room.
TEST_F(RunsInStep, OneThatIsResumedAndFindsNoRoomEndsWithWhatItHas) {
  int64_t records = 0;
  {
    Member member = Open(8, "resumed", clock_);
    SteppedRun* const run = member.run.get();
    for (int slice = 0; slice < 3; ++slice) {
      AdvanceBySlice({&run, 1}, clock_);
    }
    member.stop->RequestStop();
    AdvanceBySlice({&run, 1}, clock_);
    ASSERT_TRUE(run->ended());
    records = member.trace->row_count();
    ASSERT_EQ(run->TakeResult()->records, records);
  }
  Member member = Open(8, "resumed", clock_);
  SteppedRun* const run = member.run.get();
  files_.SetFreeBytes(0);
  AdvanceBySlice({&run, 1}, clock_);
  ASSERT_TRUE(run->waits());
  member.stop->RequestStop();
  AdvanceBySlice({&run, 1}, clock_);
  ASSERT_TRUE(run->ended());
  const auto result = run->TakeResult();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->reason, StopReason::kCancelled);
  EXPECT_EQ(result->records, records);
  EXPECT_EQ(result->summary.iterations(), records - 1);
}

TEST_F(RunsInStep, OneThatFailsEndsWithItsErrorAndTheOthersGoOn) {
  auto members = OpenAll();
  AdvanceAll(members);
  FaultyFileSystem::Rule broken;
  broken.call = FaultyFileSystem::Call::kWrite;
  broken.path = "together-3";
  const size_t rule = files_.AddRule(broken);
  while (AdvanceAll(members)) {
  }
  EXPECT_EQ(files_.fired(rule), 1);
  EXPECT_TRUE(absl::IsUnavailable(members[3].run->TakeResult().status()));
  ExpectAllButOneAsAlone(members, 3);
}

// Throws in the fifth step.
template <typename Failure>
class FailingStepper : public engine::ScriptedStepper {
 public:
  FailingStepper() : ScriptedStepper(engine::Residuals({2, 1}), calls_) {}
  void Step() override {
    if (calls_.stepped == 4) {
      throw Failure();
    }
    ScriptedStepper::Step();
  }

 private:
  Calls calls_;
};

template <typename Failure>
absl::StatusOr<std::unique_ptr<engine::Stepper>> MakeFailing(const engine::Experiment& /*of*/,
                                                             const base::StopWish& /*stops*/) {
  return std::make_unique<FailingStepper<Failure>>();
}

TEST_F(RunsInStep, OneThatRunsOutOfMemoryEndsWithItsErrorAndTheOthersGoOn) {
  ReplaceStepper(3, MakeFailing<std::bad_alloc>);
  auto members = OpenAll();
  while (AdvanceAll(members)) {
  }
  EXPECT_TRUE(absl::IsResourceExhausted(members[3].run->TakeResult().status()));
  EXPECT_LE(members[3].trace->row_count(), 5);
  ExpectAllButOneAsAlone(members, 3);
}

// It would have to draw its start again, and is told to stop.
TEST_F(RunsInStep, OneThatIsStoppedInMidSliceEndsWithWhatWasShown) {
  ReplaceStepper(3, MakeFailing<base::Stopped>);
  auto members = OpenAll();
  while (AdvanceAll(members)) {
  }
  const auto result = members[3].run->TakeResult();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->reason, StopReason::kCancelled);
  EXPECT_GT(result->records, 0);
  EXPECT_LE(result->records, 5);
  EXPECT_EQ(members[3].trace->row_count(), result->records);
  EXPECT_EQ(result->summary.iterations(), result->records - 1);
  ExpectAllButOneAsAlone(members, 3);
}

// Asks as a start that takes long does.
TEST_F(RunsInStep, OneThatIsNotWantedBeforeItsStartIsThereHasNoRecord) {
  ReplaceStepper(
      3,
      [](const engine::Experiment&,
         const base::StopWish& stops) -> absl::StatusOr<std::unique_ptr<engine::Stepper>> {
        while (true) {
          base::ThrowIfStopped(stops);
        }
      });
  Member member = Open(3, "slow", clock_);
  std::thread canceller([&member] { member.stop->RequestStop(); });
  SteppedRun* const run = member.run.get();
  AdvanceBySlice({&run, 1}, clock_);
  canceller.join();
  ASSERT_TRUE(run->ended());
  const auto result = run->TakeResult();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->reason, StopReason::kCancelled);
  EXPECT_EQ(result->records, 0);
}

// A write takes a second here, and a record no time.
TEST_F(RunsInStep, HaveSlicesAsLongAsTheirComputing) {
  FakeClock standing;
  files_.SetHook([&](const FaultyFileSystem::Operation& operation) {
    if (operation.call == FaultyFileSystem::Call::kWrite) {
      standing.Advance(absl::Seconds(1));
    }
    return std::nullopt;
  });
  auto members = OpenAll(standing);
  for (int slice = 0; slice < 5; ++slice) {
    AdvanceAll(members, standing);
  }
  EXPECT_EQ(members[0].trace->row_count(), 1 + 4 + 16 + 64 + 256);
}

// 0.05 s a look: a slice takes a tenth of a second, of which each has its share.
TEST_F(RunsInStep, MakeCheckpointsByTheTimeOfAllOfThemAndWithinTheirShareOfIt) {
  const FakeClock slow(0.05);
  FaultyFileSystem::Rule syncs;
  syncs.call = FaultyFileSystem::Call::kSync;
  syncs.path = "together-0.checkpoint";
  syncs.times = 0;
  const size_t rule = files_.AddRule(syncs);
  const double begin = slow.MonotonicSeconds();
  auto members = OpenAll(slow);
  for (int slice = 0; slice < 20; ++slice) {
    AdvanceAll(members, slow);
  }
  for (const size_t k : {size_t{0}, size_t{3}}) {
    EXPECT_FALSE(members[k].run->ended());
    EXPECT_TRUE(store_->OpenCheckpoint(absl::StrCat("together-", k), 1 << 20).ok()) << k;
  }
  EXPECT_LT(members[0].trace->ElapsedAt(members[0].trace->row_count() - 1).value(), 1);
  for (int slice = 0; slice < 500; ++slice) {
    AdvanceAll(members, slow);
  }
  const auto checkpoints = static_cast<double>(files_.matched(rule));
  EXPECT_GT(checkpoints, 5);
  // Each takes as long as a look.
  EXPECT_LE(checkpoints * 0.05, 0.02 * (slow.MonotonicSeconds() - begin));
}

// Checkpoints wait for the disk, so that those of a group must wait at once: none of the first two
// is synced before both are about to be.
TEST_F(RunsInStep, SyncTheirLastCheckpointsAtOnce) {
  auto members = OpenAll();
  for (int slice = 0; slice < 4; ++slice) {
    AdvanceAll(members);
  }
  std::atomic<int> syncs = 0;
  std::latch both(2);
  files_.SetHook([&](const FaultyFileSystem::Operation& operation) {
    if (operation.call == FaultyFileSystem::Call::kSync &&
        operation.path.find("checkpoint") != std::string::npos && ++syncs <= 2) {
      both.arrive_and_wait();
    }
    return std::nullopt;
  });
  for (const Member& member : members) {
    member.stop->RequestStop();
  }
  AdvanceAll(members);
  EXPECT_GT(syncs, 2);
  for (Member& member : members) {
    EXPECT_TRUE(member.run->ended());
  }
}

TEST(Slices, GrowFromOneRecordToTenMillisecondsAndStayInTheirRange) {
  Slices slices;
  EXPECT_EQ(slices.records(), 1);
  slices.Took(1, 1e-6);
  EXPECT_EQ(slices.records(), 4);
  slices.Took(4, 0);
  EXPECT_EQ(slices.records(), 16);
  slices.Took(16, 0.02);
  EXPECT_EQ(slices.records(), 8);
  slices.Took(2, 0.005);  // it was cut short
  EXPECT_EQ(slices.records(), 4);
  slices.Took(4, 100);
  EXPECT_EQ(slices.records(), 1);
  slices.Took(1 << 16, 1e-6);
  EXPECT_EQ(slices.records(), 1 << 16);
}

}  // namespace
}  // namespace polyak::runner
