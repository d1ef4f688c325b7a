#include "server/jobs/job.h"

#include <memory>

#include "gtest/gtest.h"
#include "server/base/clock.h"
#include "server/runner/runner.h"
#include "server/spec/parse_training_job.h"

namespace polyak::jobs {
namespace {

storage::JobSnapshot Form() {
  auto form = std::make_shared<v1::TrainingJob>();
  auto& spectrum = *form->mutable_spec()->mutable_quadratic()->mutable_spectrum();
  spectrum.mutable_generated()->set_dimension(4);
  spectrum.mutable_generated()->set_condition_number(10);
  form->mutable_spec()->mutable_optimizer()->mutable_polyak_momentum();
  form->mutable_spec()->mutable_stopping()->set_max_iterations(20);
  return form;
}

std::shared_ptr<const runner::PreparedJob> Prepared() {
  spec::Violations violations;
  const auto spec = spec::ParseTrainingJobSpec(Form()->spec(), {}, violations);
  auto prepared = runner::Prepare(*spec, violations);
  EXPECT_TRUE(violations.empty());
  return prepared;
}

TEST(Job, AnswersTheLatestSnapshotAndKnowsWhenItHasEnded) {
  Job job(std::make_shared<v1::TrainingJob>(), {}, nullptr);
  EXPECT_FALSE(job.ended());
  auto ended = std::make_shared<v1::TrainingJob>();
  ended->mutable_end_time()->set_seconds(1);
  job.set_snapshot(ended);
  EXPECT_TRUE(job.ended());
  EXPECT_EQ(job.snapshot().get(), ended.get());
}

TEST(Job, TheLinearisedStartIsComputedOnceAndHasTheRunsFirstResidual) {
  Job job(Form(), OutlineOf(*Prepared()), Prepared());
  const base::SystemClock clock;
  ASSERT_TRUE(runner::Run(*job.TakePrepared(), job.trace(), job.stop(), clock).ok());
  const auto start = job.Linearized();
  ASSERT_TRUE(start->available());
  EXPECT_EQ(start, job.Linearized());
  // H is diagonal: the residual's parts are its components.
  EXPECT_DOUBLE_EQ(start->weights.norm(),
                   job.reader().Read(0, 1, 1).columns[engine::kResidualNorm][0]);
}

TEST(Job, AStopAskedForBeforeTheRunEndsItAtRecordZero) {
  Job job(Form(), OutlineOf(*Prepared()), Prepared());
  job.stop().RequestStop();
  const base::SystemClock clock;
  const auto result = runner::Run(*job.TakePrepared(), job.trace(), job.stop(), clock);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->reason, engine::StopReason::kCancelled);
  EXPECT_EQ(job.reader().row_count(), 1);
}

TEST(Job, HandsOutItsPreparationOnceAndKeepsTheOutline) {
  Job job(Form(), OutlineOf(*Prepared()), Prepared());
  EXPECT_NE(job.TakePrepared(), nullptr);
  EXPECT_EQ(job.TakePrepared(), nullptr);
  EXPECT_EQ(job.outline().max_iterations, 20);
  EXPECT_EQ(job.outline().bound.theorem, "T7");
}

TEST(Job, ASpectrumTooLargeForAReaderHasNoPredictedCurve) {
  auto form = std::make_shared<v1::TrainingJob>(*Form());
  form->mutable_spec()->mutable_quadratic()->mutable_spectrum()->mutable_generated()->set_dimension(
      Job::kLinearizedMax + 1);
  Job job(form, {}, nullptr);
  EXPECT_FALSE(job.Linearized()->available());
}

}  // namespace
}  // namespace polyak::jobs
