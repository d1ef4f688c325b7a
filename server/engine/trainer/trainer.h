#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "server/base/row_sink.h"
#include "server/base/stop_token.h"
#include "server/engine/plans/plan.h"
#include "server/engine/rates/rate_estimator.h"
#include "server/engine/theory/certificate.h"
#include "server/engine/theory/theory.h"

namespace polyak::engine {

struct StoppingRule {
  int64_t max_iterations = 100000;      // 0: record 0 only
  std::optional<double> relative_loss;  // in (0, 1)
  std::optional<double> max_seconds;    // training time; kept by the runner, which owns the clock
};

enum class StopReason { kConverged, kMaxIterations, kTimeLimit, kDiverged, kCancelled };

// Columns of a stored row, in this order.
enum TraceColumn : int { kLoss = 0, kResidualNorm = 1, kRateEstimate = 2, kTraceColumns = 3 };

struct Progress {
  int64_t iteration = -1;            // last recorded; -1: nothing yet
  std::optional<StopReason> reason;  // set: the run has ended (or, for kCancelled, was asked to stop)
  bool running() const { return !reason.has_value(); }
};

// What is known at the end of a run, or so far.
struct RunSummary {
  int64_t iterations = 0;  // t of the last record
  double initial_loss = 0;
  double final_loss = 0;
  double initial_residual_norm = 0;
  double final_residual_norm = 0;
  RateEstimate windowed;
  RateEstimate plain_line;
  RateEstimate overall;
  RateEstimate quotient;
  double peak_ratio = 1;  // largest p_t / p_0
  int64_t peak_iteration = 0;
  double flipped_share = 0;  // NaN where there are no activations
  Certificate certificate;
};

// The one loop: observe, record, check, step. Knows no clock, thread or reader.
class Trainer {
 public:
  // The trainer borrows sink and stop, which must outlive it. Records go out from iteration 0 at the first Advance.
  // rounding floor: computed at record 0 from `problem`.
  Trainer(const Experiment& experiment, const TheoryResolution& theory, const StoppingRule& stopping,
          std::unique_ptr<Stepper> stepper, base::RowSink& sink, const base::StopToken& stop);
  // Records up to `records` more iterates. Returns early on a stopping rule, divergence or the token; at one record
  // DIVERGED goes before CONVERGED, MAX_ITERATIONS, CANCELLED. Cancelled: within one iteration.
  Progress Advance(int64_t records);
  RunSummary summary() const;

 private:
  void Start(const Observation& observation);
  double StackedNorm(double residual_norm) const;
  std::optional<StopReason> Check(int64_t iteration, const Observation& observation, double stacked_norm) const;

  const Experiment experiment_;
  const TheoryResolution theory_;
  const StoppingRule stopping_;
  const std::unique_ptr<Stepper> stepper_;
  base::RowSink& sink_;
  const base::StopToken& stop_;
  std::optional<RateEstimator> rates_;        // both made at record 0, where the rounding floor becomes known
  std::optional<CertificateChecker> checker_;
  Observation initial_;
  Observation last_;
  double previous_residual_norm_ = 0;  // |xi_{t-1}|, with xi_{-1} = xi_0
  double loss_target_ = -1;            // relative_loss x loss_0; below 0: none
  double divergence_level_ = 0;        // 1e12 p_0
  Progress progress_;
};

}  // namespace polyak::engine
