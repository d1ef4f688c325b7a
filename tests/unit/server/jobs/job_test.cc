#include "server/jobs/job.h"

#include <memory>

#include "gtest/gtest.h"
#include "server/base/clock.h"
#include "server/runner/runner.h"

namespace polyak::jobs {
namespace {

std::shared_ptr<const runner::PreparedJob> Prepared() {
  spec::ExperimentSpec spec;
  engine::QuadraticSpec quadratic;
  engine::GeneratedSpectrumSpec spectrum;
  spectrum.dimension = 4;
  spectrum.condition_number = 10;
  quadratic.hessian = spectrum;
  spec.problem = quadratic;
  spec.optimizer = engine::PolyakMomentumSpec{};
  spec.stopping.max_iterations = 20;
  spec::Violations violations;
  auto prepared = runner::Prepare(spec, violations);
  EXPECT_TRUE(violations.empty());
  return prepared;
}

TEST(Job, AnswersTheLatestSnapshotAndKnowsWhenItHasEnded) {
  Job job(std::make_shared<v1::TrainingJob>(), nullptr);
  EXPECT_FALSE(job.ended());
  auto ended = std::make_shared<v1::TrainingJob>();
  ended->mutable_end_time()->set_seconds(1);
  job.set_snapshot(ended);
  EXPECT_TRUE(job.ended());
  EXPECT_EQ(job.snapshot().get(), ended.get());
}

TEST(Job, TheLinearisedStartIsComputedOnceAndHasTheRunsFirstResidual) {
  Job job(std::make_shared<v1::TrainingJob>(), Prepared());
  const base::SystemClock clock;
  ASSERT_TRUE(runner::Run(job.prepared(), job.trace(), job.stop(), clock).ok());
  const engine::LinearizedStart& start = job.Linearized();
  ASSERT_TRUE(start.available());
  EXPECT_EQ(&start, &job.Linearized());
}

TEST(Job, AStopAskedForBeforeTheRunEndsItAtRecordZero) {
  Job job(std::make_shared<v1::TrainingJob>(), Prepared());
  job.stop().RequestStop();
  const base::SystemClock clock;
  const auto result = runner::Run(job.prepared(), job.trace(), job.stop(), clock);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->reason, engine::StopReason::kCancelled);
  EXPECT_EQ(job.reader().row_count(), 1);
}

}  // namespace
}  // namespace polyak::jobs
