// The trainer's own part of a saved run, over scripted observations. Whole runs of real problems,
// cut and damaged at random, are in tests/conformance/resume_test.cc.

#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/trainer/scripted_run.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;
using ::testing::HasSubstr;

std::vector<Observation> Decay(int count) {
  std::vector<double> norms;
  for (int t = 0; t < count; ++t) {
    norms.push_back(8 * std::pow(0.9, t));
  }
  return Residuals(norms);
}

// The state after `records` records.
std::string StateAfter(int64_t records, const StoppingRule& stopping) {
  ScriptedRun run(Decay(100), stopping);
  run.trainer.Advance(records);
  return StateOf(run.trainer);
}

TEST(SavedTrainer, AppendsOnlyTheRowsAfterTheLastSavedOne) {
  ScriptedRun whole(Decay(100), AtMost(60));
  whole.RunToEnd();
  ScriptedRun loaded(Decay(100), AtMost(60));
  ASSERT_TRUE(LoadState(loaded.trainer, StateAfter(21, AtMost(60))).ok());
  EXPECT_EQ(loaded.trainer.Advance(0).iteration, 20);
  EXPECT_TRUE(loaded.rows.loss.empty());
  const Progress progress = loaded.RunToEnd();
  EXPECT_EQ(progress.iteration, 60);
  EXPECT_EQ(progress.reason, StopReason::kMaxIterations);
  ASSERT_EQ(loaded.rows.loss.size(), 40U);
  for (size_t k = 0; k < 40; ++k) {
    EXPECT_EQ(loaded.rows.loss[k], whole.rows.loss[21 + k]);
    EXPECT_EQ(std::bit_cast<uint64_t>(loaded.rows.rate_estimate[k]),
              std::bit_cast<uint64_t>(whole.rows.rate_estimate[21 + k]));
  }
  EXPECT_EQ(StateOf(loaded.trainer), StateOf(whole.trainer));
}

TEST(SavedTrainer, StartsAtRecordZeroFromAStateWithoutRecords) {
  ScriptedRun loaded(Decay(100), AtMost(5));
  ScriptedRun fresh(Decay(100), AtMost(5));
  base::StringSink sink;
  fresh.trainer.Save(sink);
  // The scripted stepper takes itself for observed when it is loaded.
  loaded.calls.observed = 0;
  ASSERT_TRUE(LoadState(loaded.trainer, sink.bytes()).ok());
  EXPECT_EQ(loaded.trainer.summary().iterations, 0);
  EXPECT_EQ(loaded.trainer.Advance(0).iteration, -1);
}

TEST(SavedTrainer, StaysEndedWhenItHadEnded) {
  for (const StoppingRule& stopping : {AtMost(7), ToRelativeLoss(0.1)}) {
    ScriptedRun whole(Decay(100), stopping);
    const Progress end = whole.RunToEnd();
    ScriptedRun loaded(Decay(100), stopping);
    ASSERT_TRUE(LoadState(loaded.trainer, StateOf(whole.trainer)).ok());
    const Progress progress = loaded.trainer.Advance(10);
    EXPECT_EQ(progress.reason, end.reason);
    EXPECT_EQ(progress.iteration, end.iteration);
    EXPECT_TRUE(loaded.rows.loss.empty());
  }
}

TEST(SavedTrainer, GoesOnWhereItWasAskedToStop) {
  ScriptedRun stopped(Decay(100), AtMost(30));
  stopped.trainer.Advance(5);
  stopped.stop.RequestStop();
  EXPECT_EQ(stopped.trainer.Advance(100).reason, StopReason::kCancelled);
  ScriptedRun loaded(Decay(100), AtMost(30));
  ASSERT_TRUE(LoadState(loaded.trainer, StateOf(stopped.trainer)).ok());
  EXPECT_TRUE(loaded.trainer.Advance(0).running());
  EXPECT_EQ(loaded.RunToEnd().iteration, 30);
  EXPECT_EQ(loaded.rows.loss.size(), 25U);
}

TEST(SavedTrainer, KeepsTheLevelsThatFollowFromRecordZero) {
  // The target is a share of the first loss, divergence a multiple of the first norm: neither is
  // known to a trainer that never saw record 0.
  ScriptedRun converging(Decay(100), ToRelativeLoss(1e-3));
  const Progress end = converging.RunToEnd();
  ScriptedRun loaded(Decay(100), ToRelativeLoss(1e-3));
  ASSERT_TRUE(LoadState(loaded.trainer, StateAfter(3, ToRelativeLoss(1e-3))).ok());
  const Progress progress = loaded.RunToEnd();
  EXPECT_EQ(progress.reason, StopReason::kConverged);
  EXPECT_EQ(progress.iteration, end.iteration);

  const std::vector<Observation> blowing_up = Residuals({1, 2, 3, 4e12, 5e12});
  ScriptedRun short_run(blowing_up, AtMost(50));
  short_run.trainer.Advance(3);
  ScriptedRun resumed(blowing_up, AtMost(50));
  ASSERT_TRUE(LoadState(resumed.trainer, StateOf(short_run.trainer)).ok());
  EXPECT_EQ(resumed.RunToEnd().reason, StopReason::kDiverged);
}

TEST(SavedTrainer, RefusesAnEarlyEndAndALateOne) {
  const std::string state = StateAfter(21, AtMost(60));
  for (size_t size = 0; size < state.size(); ++size) {
    ScriptedRun loaded(Decay(100), AtMost(60));
    ASSERT_TRUE(absl::IsDataLoss(LoadState(loaded.trainer, state.substr(0, size)))) << size;
  }
  ScriptedRun loaded(Decay(100), AtMost(60));
  const absl::Status status = LoadState(loaded.trainer, state + '\0');
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string{status.message()}, HasSubstr("after its end"));
}

TEST(SavedTrainer, RefusesAnotherLayoutIterationOrReason) {
  const std::string state = StateAfter(21, AtMost(60));
  const auto refuses = [&](size_t number, int64_t value) {
    std::string changed = state;
    changed.replace(8 * number, 8, reinterpret_cast<const char*>(&value), 8);
    ScriptedRun loaded(Decay(100), AtMost(60));
    return absl::IsDataLoss(LoadState(loaded.trainer, changed));
  };
  EXPECT_TRUE(refuses(0, 1));   // the layout
  EXPECT_TRUE(refuses(1, 61));  // beyond the stopping rule
  EXPECT_TRUE(refuses(1, 19));  // not as many as the rate estimator saw
  EXPECT_TRUE(refuses(1, -1));  // no records, and yet bytes of some
  EXPECT_TRUE(refuses(1, std::numeric_limits<int64_t>::min()));
  // After the stepper's own number.
  EXPECT_TRUE(refuses(3, static_cast<int64_t>(StopReason::kTimeLimit)));
  EXPECT_TRUE(refuses(3, static_cast<int64_t>(StopReason::kCancelled)));
  EXPECT_TRUE(refuses(3, -2));
}

}  // namespace
}  // namespace polyak::engine
