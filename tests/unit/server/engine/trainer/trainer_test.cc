// The trainer's own rules, over scripted observations. Whole runs of real problems are in
// real_runs_test.cc beside this file.

#include "server/engine/trainer/trainer.h"

#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/trainer/scripted_run.h"

namespace polyak::engine {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Trainer, NothingIsObservedOrWrittenBeforeTheFirstAdvance) {
  ScriptedRun run(Residuals({1}), AtMost(5));
  EXPECT_EQ(run.calls.observed, 0);
  EXPECT_EQ(run.trainer.Advance(0).iteration, -1);
  EXPECT_EQ(run.calls.observed, 0);
  EXPECT_TRUE(run.rows.loss.empty());
}

TEST(Trainer, SummaryBeforeTheFirstRecordIsAllDefaults) {
  const ScriptedRun run(Residuals({1}), AtMost(5));
  const RunSummary summary = run.trainer.summary();
  EXPECT_EQ(summary.iterations, 0);
  EXPECT_EQ(summary.initial_loss, 0);
  EXPECT_EQ(summary.final_loss, 0);
  EXPECT_EQ(summary.peak_ratio, 1);
  EXPECT_FALSE(summary.windowed.valid());
  EXPECT_FALSE(summary.overall.valid());
  EXPECT_EQ(summary.certificate.verdict, Verdict::kNotApplicable);
  EXPECT_EQ(summary.certificate.iterations_checked, 0);
}

TEST(Trainer, RecordZeroIsTheStartAndTIterationsGiveTPlusOneRecords) {
  ScriptedRun run(Residuals({4, 3, 2, 1}), AtMost(3));
  const Progress progress = run.trainer.Advance(100);
  EXPECT_EQ(progress.reason, StopReason::kMaxIterations);
  EXPECT_EQ(progress.iteration, 3);
  EXPECT_EQ(run.rows.residual_norm, (std::vector<double>{4, 3, 2, 1}));
  EXPECT_EQ(run.rows.loss, (std::vector<double>{8, 4.5, 2, 0.5}));
  EXPECT_EQ(run.calls.observed, 4);
  EXPECT_EQ(run.calls.stepped, 3);
}

TEST(Trainer, ZeroIterationsGiveRecordZeroOnly) {
  ScriptedRun run(Residuals({4, 3}), AtMost(0));
  const Progress progress = run.trainer.Advance(100);
  EXPECT_EQ(progress.reason, StopReason::kMaxIterations);
  EXPECT_EQ(progress.iteration, 0);
  EXPECT_EQ(run.rows.residual_norm, (std::vector<double>{4}));
  EXPECT_EQ(run.calls.stepped, 0);
}

TEST(Trainer, AdvanceRecordsNoMoreThanAskedFor) {
  ScriptedRun run(Residuals({1}), AtMost(100));
  EXPECT_EQ(run.trainer.Advance(1).iteration, 0);
  EXPECT_EQ(run.trainer.Advance(5).iteration, 5);
  EXPECT_TRUE(run.trainer.Advance(7).running());
  EXPECT_EQ(run.rows.loss.size(), 13u);
}

TEST(Trainer, DoesNothingAfterTheEnd) {
  ScriptedRun run(Residuals({4, 3, 2}), AtMost(2));
  const Progress end = run.RunToEnd();
  const Progress again = run.trainer.Advance(10);
  EXPECT_EQ(again.iteration, end.iteration);
  EXPECT_EQ(again.reason, end.reason);
  EXPECT_EQ(run.rows.loss.size(), 3u);
  EXPECT_EQ(run.calls.stepped, 2);
}

TEST(Trainer, TheFirstRecordAtTheToleranceEndsTheRun) {
  // Losses 0.5, 0.125, 0.0078125, 0.0078125 / 4; the target is the third one exactly.
  ScriptedRun run(Residuals({1, 0.5, 0.125, 0.0625}), ToRelativeLoss(0.015625));
  const Progress progress = run.RunToEnd();
  EXPECT_EQ(progress.reason, StopReason::kConverged);
  EXPECT_EQ(progress.iteration, 2);
}

TEST(Trainer, WithoutAToleranceARunGoesOnAtTheRoundingFloor) {
  ScriptedRun run({{1, 1}, {1e-30, 1e-15}, {0, 0}, {0, 0}, {-1e-31, 1e-16}}, AtMost(9));
  const Progress progress = run.RunToEnd();
  EXPECT_EQ(progress.reason, StopReason::kMaxIterations);
  EXPECT_EQ(progress.iteration, 9);
}

TEST(Trainer, WithoutAToleranceNoLossHoweverLowEndsTheRun) {
  // A Hessian may be indefinite by 1e-13 of its largest eigenvalue; at a large scale the rounding
  // of its loss is a large number below zero.
  ScriptedRun run({{1e20, 1e10}, {-5, 1e9}, {-1e9, 1e9}}, AtMost(4));
  const Progress progress = run.RunToEnd();
  EXPECT_EQ(progress.reason, StopReason::kMaxIterations);
  EXPECT_EQ(progress.iteration, 4);
}

TEST(Trainer, AnInitialLossOfZeroIsConvergedAtRecordZero) {
  ScriptedRun run(Residuals({0, 1}), AtMost(50));
  const Progress progress = run.RunToEnd();
  EXPECT_EQ(progress.reason, StopReason::kConverged);
  EXPECT_EQ(progress.iteration, 0);
  const RunSummary summary = run.trainer.summary();
  EXPECT_FALSE(summary.windowed.valid());
  EXPECT_FALSE(summary.overall.valid());
  EXPECT_FALSE(summary.quotient.valid());
  EXPECT_EQ(summary.certificate.verdict, Verdict::kNotApplicable);
}

TEST(Trainer, AtOneRecordDivergedGoesBeforeConvergedBeforeMaxIterationsBeforeCancelled) {
  struct Case {
    bool diverged;
    bool converged;
    bool last;
    bool cancelled;
    std::optional<StopReason> expected;
  };
  const std::optional<StopReason> runs_on;
  for (const Case& at : {Case{true, true, true, true, StopReason::kDiverged},
                         Case{true, false, true, true, StopReason::kDiverged},
                         Case{true, false, false, false, StopReason::kDiverged},
                         Case{false, true, true, true, StopReason::kConverged},
                         Case{false, true, false, true, StopReason::kConverged},
                         Case{false, false, true, true, StopReason::kMaxIterations},
                         Case{false, false, true, false, StopReason::kMaxIterations},
                         Case{false, false, false, true, StopReason::kCancelled},
                         Case{false, false, false, false, runs_on}}) {
    const Observation record = {at.converged ? 1e-9 : 0.4, at.diverged ? 2e12 : 0.9};
    ScriptedRun run({{0.5, 1}, record, {0.4, 0.9}}, ToRelativeLoss(1e-8, at.last ? 1 : 100));
    EXPECT_TRUE(run.trainer.Advance(1).running());
    if (at.cancelled) {
      run.stop.RequestStop();
    }
    const Progress progress = run.trainer.Advance(1);
    EXPECT_EQ(progress.iteration, 1);
    EXPECT_EQ(progress.reason, at.expected);
  }
}

TEST(Trainer, DivergesAbove1e12OfTheStackedNormAtTheStart) {
  // p_0 = sqrt 2 |xi_0|, p_1 = hypot(|xi_1|, |xi_0|): the limit is |xi_1| = sqrt 2 1e12, since
  // |xi_0| beside it is below rounding.
  const double limit = std::sqrt(2.0) * 1e12;
  ScriptedRun below(Residuals({1, limit * (1 - 1e-14), 1}), AtMost(2));
  EXPECT_EQ(below.RunToEnd().reason, StopReason::kMaxIterations);
  ScriptedRun above(Residuals({1, limit * (1 + 1e-14), 1}), AtMost(2));
  EXPECT_EQ(above.RunToEnd().reason, StopReason::kDiverged);
  EXPECT_EQ(above.rows.residual_norm.size(), 2u);  // that record is kept
}

TEST(Trainer, TheLimitOfDivergenceCountsTheRecordBeforeToo) {
  // Each alone is below sqrt 2 1e12, both together are above.
  ScriptedRun run(Residuals({1, 1.2e12, 1.2e12}), AtMost(5));
  const Progress progress = run.RunToEnd();
  EXPECT_EQ(progress.reason, StopReason::kDiverged);
  EXPECT_EQ(progress.iteration, 2);
}

TEST(Trainer, ANumberThatIsNotFiniteIsDivergenceAtAnyRecord) {
  for (const double bad : {kInfinity, kNan}) {
    for (const Observation record :
         {Observation{bad, bad}, Observation{bad, 1.0}, Observation{0.5, bad}}) {
      ScriptedRun at_start({record}, ToRelativeLoss(0.5));
      EXPECT_EQ(at_start.RunToEnd().reason, StopReason::kDiverged);
      EXPECT_EQ(at_start.rows.loss.size(), 1u);
      ScriptedRun later({{0.5, 1}, {0.4, 0.9}, record}, ToRelativeLoss(0.5));
      const Progress progress = later.RunToEnd();
      EXPECT_EQ(progress.reason, StopReason::kDiverged);
      EXPECT_EQ(progress.iteration, 2);
      EXPECT_EQ(later.rows.loss.size(), 3u);
    }
  }
}

TEST(Trainer, DivergenceIsRightWhereSquaresLeaveTheNumbers) {
  // Losses do not matter here.
  const auto script = [](double first, double second) {
    return std::vector<Observation>{{1, first}, {0.5, second}};
  };
  for (const double unit : {1e-300, 1e-200, 1e-150, 1e150, 1e200, 1e290}) {
    ScriptedRun on(script(unit, 1e11 * unit), AtMost(1));
    EXPECT_EQ(on.RunToEnd().reason, StopReason::kMaxIterations) << unit;
  }
  for (const double unit : {1e-300, 1e-200, 1e-150, 1e150, 1e200}) {
    ScriptedRun off(script(unit, 1e13 * unit), AtMost(1));
    EXPECT_EQ(off.RunToEnd().reason, StopReason::kDiverged) << unit;
  }
  // 1e12 p_0 is beyond the numbers: only what is beyond them too diverges.
  ScriptedRun huge(script(1e300, 1e307), AtMost(1));
  EXPECT_EQ(huge.RunToEnd().reason, StopReason::kMaxIterations);
  ScriptedRun beyond(script(1e300, kInfinity), AtMost(1));
  EXPECT_EQ(beyond.RunToEnd().reason, StopReason::kDiverged);
}

TEST(Trainer, TheWishToStopIsReadAtEveryRecord) {
  ScriptedRun before(Residuals({1}), AtMost(100));
  before.stop.RequestStop();
  EXPECT_EQ(before.trainer.Advance(50).reason, StopReason::kCancelled);
  EXPECT_EQ(before.rows.loss.size(), 1u);  // record 0 is there all the same

  // Asked for while record 5 is written, in the middle of a long slice: it is the last one.
  class StopsAtFive : public base::RowSink {
   public:
    explicit StopsAtFive(base::StopToken& stop) : stop_(stop) {}
    void Append(std::span<const double> /*row*/) noexcept override {
      if (count++ == 5) {
        stop_.RequestStop();
      }
    }
    int count = 0;

   private:
    base::StopToken& stop_;
  };
  base::StopToken stop;
  StopsAtFive sink(stop);
  ScriptedStepper::Calls calls;
  QuadraticSpec spec;
  spec.hessian = GeneratedSpectrumSpec{2, 4, 1, SpectrumShape::kUniform};
  Trainer trainer({*Instantiate(spec, Seed{}), GradientDescentSpec{1.0}}, TheoryResolution{},
                  AtMost(1000), std::make_unique<ScriptedStepper>(Residuals({1}), calls), sink,
                  stop);
  const Progress progress = trainer.Advance(1000);
  EXPECT_EQ(progress.reason, StopReason::kCancelled);
  EXPECT_EQ(progress.iteration, 5);
  EXPECT_EQ(sink.count, 6);
}

// Keeps whole rows. Stops the run with row `stop_at`, if that is given.
class WholeRows : public base::RowSink {
 public:
  explicit WholeRows(int64_t stop_at = -1) : stop_at_(stop_at) {}
  void Append(std::span<const double> row) noexcept override {
    rows.emplace_back(row.begin(), row.end());
    if (static_cast<int64_t>(rows.size()) == stop_at_ + 1) {
      stop.RequestStop();
    }
  }
  std::vector<std::vector<double>> rows;
  base::StopToken stop;

 private:
  const int64_t stop_at_;
};

// The iterations that have diagnostics; the script's distances are the iterations themselves.
std::vector<double> Diagnosed(std::vector<Observation> script, const StoppingRule& stopping,
                              int64_t interval, int64_t stop_at = -1) {
  ScriptedStepper::Calls calls;
  WholeRows sink(stop_at);
  QuadraticSpec spec;
  spec.hessian = GeneratedSpectrumSpec{2, 4, 1, SpectrumShape::kUniform};
  Trainer trainer({*Instantiate(spec, Seed{}), GradientDescentSpec{1.0}}, TheoryResolution{},
                  stopping, std::make_unique<ScriptedStepper>(std::move(script), calls), sink,
                  sink.stop, interval);
  while (trainer.Advance(3).running()) {
  }
  std::vector<double> diagnosed;
  for (const std::vector<double>& row : sink.rows) {
    EXPECT_EQ(row.size(), size_t{kDiagnosedTraceColumns});
    EXPECT_TRUE(std::isnan(row[kSmallestEigenvalue]));  // the script has none
    if (!std::isnan(row[kDistanceFromStart])) {
      diagnosed.push_back(row[kDistanceFromStart]);
    }
  }
  return diagnosed;
}

TEST(Trainer, DiagnosesEveryIntervalAndTheLastIterationThatItsOwnRulesEnd) {
  const std::vector<Observation> script = Residuals({9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5, 0.4});
  using Iterations = std::vector<double>;
  EXPECT_EQ(Diagnosed(script, AtMost(9), 4), (Iterations{0, 4, 8, 9}));
  EXPECT_EQ(Diagnosed(script, AtMost(8), 4), (Iterations{0, 4, 8}));
  EXPECT_EQ(Diagnosed(script, AtMost(3), 1), (Iterations{0, 1, 2, 3}));
  EXPECT_EQ(Diagnosed(script, AtMost(5), 1000), (Iterations{0, 5}));
  EXPECT_EQ(Diagnosed(script, ToRelativeLoss(0.1), 4), (Iterations{0, 4, 7}));
  // A wish does not come again when the records are computed again.
  EXPECT_EQ(Diagnosed(script, AtMost(9), 4, 6), (Iterations{0, 4}));
}

TEST(Trainer, SummarySaysTheEndsThePeakAndTheActivations) {
  ScriptedRun run(Residuals({3, 4, 1, 2}), AtMost(3));
  run.RunToEnd();
  const RunSummary summary = run.trainer.summary();
  EXPECT_EQ(summary.iterations, 3);
  EXPECT_EQ(summary.initial_loss, 4.5);
  EXPECT_EQ(summary.final_loss, 2);
  EXPECT_EQ(summary.initial_residual_norm, 3);
  EXPECT_EQ(summary.final_residual_norm, 2);
  // p = sqrt 18, 5, sqrt 17, sqrt 5: xi_{-1} = xi_0. A root and a quotient: 2 eps.
  EXPECT_NEAR(summary.peak_ratio, 5 / std::sqrt(18.0), 5e-16);
  EXPECT_EQ(summary.peak_iteration, 1);
  EXPECT_NEAR(summary.quotient.rate, std::sqrt(5.0 / 17), 5e-16);
  EXPECT_NEAR(summary.overall.rate, std::cbrt(std::sqrt(5.0 / 18)), 1e-15);
  EXPECT_EQ(summary.flipped_share, 0.25);
}

}  // namespace
}  // namespace polyak::engine
