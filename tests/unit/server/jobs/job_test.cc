#include "server/jobs/job.h"

#include <memory>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/base/clock.h"
#include "server/runner/runner.h"
#include "server/spec/parse_training_job.h"
#include "server/storage/memory_trace.h"
#include "tests/unit/server/runner/run_in_memory.h"

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

std::shared_ptr<v1::TrainingJob> Resolved() {
  auto form = std::make_shared<v1::TrainingJob>(*Form());
  *form->mutable_resolution() = Prepared()->resolution;
  return form;
}

TEST(Job, AnswersTheLatestSnapshotAndKnowsWhenItHasEnded) {
  Job job(std::make_shared<v1::TrainingJob>());
  EXPECT_FALSE(job.ended());
  auto ended = std::make_shared<v1::TrainingJob>();
  ended->mutable_end_time()->set_seconds(1);
  job.set_snapshot(ended);
  EXPECT_TRUE(job.ended());
  EXPECT_EQ(job.snapshot().get(), ended.get());
}

TEST(Job, HasNoRecordsBeforeItHasATrace) {
  Job job(Form());
  EXPECT_EQ(job.reader()->row_count(), 0);
  const auto trace = std::make_shared<storage::MemoryTrace>(engine::kTraceColumns);
  job.set_trace(trace);
  EXPECT_EQ(job.reader(), trace);
}

TEST(Job, TheLinearisedStartIsComputedOnceAndHasTheRunsFirstResidual) {
  Job job(Resolved());
  storage::MemoryTrace trace(engine::kTraceColumns);
  const base::SystemClock clock;
  ASSERT_TRUE(runner::RunInMemory(*Prepared(), trace, clock).ok());
  const auto start = job.Linearized();
  ASSERT_TRUE(start->available());
  EXPECT_EQ(start, job.Linearized());
  // H is diagonal: the residual's parts are its components.
  EXPECT_DOUBLE_EQ(start->weights.norm(),
                   trace.Read(0, 1, 1).value().columns[engine::kResidualNorm][0]);
}

TEST(Job, HandsOutItsPreparationOnce) {
  Job job(Resolved(), Prepared());
  EXPECT_NE(job.TakePrepared(), nullptr);
  EXPECT_EQ(job.TakePrepared(), nullptr);
}

// What a reader needs after a restart follows from the stored job as it did before.
TEST(Job, TheOutlineOfTheStoredJobIsThatOfItsPreparation) {
  for (const char* const method : {"gradient_descent", "polyak_momentum", "nesterov_momentum"}) {
    auto form = std::make_shared<v1::TrainingJob>(*Form());
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        std::string(method) + " {}", form->mutable_spec()->mutable_optimizer()));
    spec::Violations violations;
    const auto spec = spec::ParseTrainingJobSpec(form->spec(), {}, violations);
    const auto prepared = runner::Prepare(*spec, violations);
    *form->mutable_resolution() = prepared->resolution;
    const JobOutline outline = OutlineOf(*form);
    EXPECT_EQ(outline.max_iterations, 20);
    EXPECT_EQ(outline.method.step_size, prepared->theory.method.step_size);
    EXPECT_EQ(outline.method.momentum, prepared->theory.method.momentum);
    EXPECT_EQ(outline.method.gradient_weight, prepared->theory.method.gradient_weight);
    EXPECT_EQ(outline.method.memory_weight, prepared->theory.method.memory_weight);
    const engine::BoundSpec& bound = prepared->theory.bound;
    EXPECT_EQ(outline.bound.exists(), bound.exists());
    if (bound.exists()) {
      EXPECT_EQ(outline.bound.constant, bound.constant);
      EXPECT_EQ(outline.bound.rate, bound.rate);
      EXPECT_EQ(outline.bound.on_stacked_norm, bound.on_stacked_norm);
    }
  }
  v1::TrainingJob unset;
  EXPECT_EQ(OutlineOf(unset).max_iterations, engine::StoppingRule().max_iterations);
}

TEST(Job, ASpectrumTooLargeForAReaderHasNoPredictedCurve) {
  auto form = std::make_shared<v1::TrainingJob>(*Form());
  form->mutable_spec()->mutable_quadratic()->mutable_spectrum()->mutable_generated()->set_dimension(
      Job::kLinearizedMax + 1);
  Job job(form);
  EXPECT_FALSE(job.Linearized()->available());
}

}  // namespace
}  // namespace polyak::jobs
