#pragma once

#include <cstdio>
#include <memory>
#include <span>
#include <vector>

#include "server/base/check.h"
#include "server/base/row_sink.h"
#include "server/engine/plans/dense.h"
#include "server/engine/trainer/trainer.h"

namespace polyak::testing_support {

// Keeps every row.
class RowRecorder : public base::RowSink {
 public:
  void Append(std::span<const double> row) noexcept override {
    loss.push_back(row[engine::kLoss]);
    residual_norm.push_back(row[engine::kResidualNorm]);
    rate_estimate.push_back(row[engine::kRateEstimate]);
  }
  std::vector<double> loss;
  std::vector<double> residual_norm;
  std::vector<double> rate_estimate;
};

struct FinishedRun {
  engine::TheoryResolution theory;
  engine::RunSummary summary;
  engine::Progress progress;
  RowRecorder rows;
};

// Runs a spec to its end with the literal plan, `slice` records at a time.
inline FinishedRun RunToEnd(const engine::ProblemSpec& problem,
                            const engine::OptimizerSpec& optimizer,
                            const engine::StoppingRule& stopping,
                            engine::Tuning tuning = engine::Tuning::kTheorem,
                            engine::Seed seed = {}, int64_t slice = 1000) {
  auto instance = engine::Instantiate(problem, seed);
  if (!instance.ok()) {
    std::fprintf(stderr, "%s\n", instance.status().ToString().c_str());
  }
  POLYAK_CHECK(instance.ok());
  auto theory = engine::Resolve(*instance, optimizer, tuning);
  if (!theory.ok()) {
    std::fprintf(stderr, "%s\n", theory.status().ToString().c_str());
  }
  POLYAK_CHECK(theory.ok());
  const engine::Experiment experiment = {*instance, theory->optimizer};
  auto stepper = engine::MakeDenseStepper(experiment);
  POLYAK_CHECK(stepper.ok());
  FinishedRun run;
  run.theory = *theory;
  base::StopToken stop;
  engine::Trainer trainer(experiment, *theory, stopping, *std::move(stepper), run.rows, stop);
  while (run.progress.running()) {
    run.progress = trainer.Advance(slice);
  }
  run.summary = trainer.summary();
  return run;
}

}  // namespace polyak::testing_support
