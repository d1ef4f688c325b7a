#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/bytes.h"
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
// Those that follow for a run with diagnostics; NaN in rows that are not diagnosed.
enum DiagnosticColumn : int {
  kSmallestEigenvalue = kTraceColumns,
  kLargestEigenvalue,
  kConditionNumber,
  kFlippedShare,
  kDistanceFromStart,
  kDiagnosedTraceColumns
};
inline constexpr int kDiagnosticColumns = int{kDiagnosedTraceColumns} - int{kTraceColumns};

struct Progress {
  int64_t iteration = -1;  // last recorded; -1: nothing yet
  // Set: the run has ended (or, for kCancelled, was asked to stop).
  std::optional<StopReason> reason;
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
  RateEstimate overall;
  RateEstimate quotient;
  double peak_ratio = 1;  // largest p_t / p_0
  int64_t peak_iteration = 0;
  double flipped_share = 0;  // NaN where there are no activations
  Certificate certificate;
};

// The one loop: observe, record, check, step. Knows no clock, thread or reader. Used by one thread.
class Trainer {
 public:
  // Borrows sink and stop, which must outlive it; takes a stepper at its starting point. Nothing is
  // observed before the first Advance; the rounding floor is computed at record 0.
  //   diagnostics_interval: 0, for rows of kTraceColumns; or rows have kDiagnosedTraceColumns, with
  //   diagnostics of the iterations divisible by it, and of the last one where the run's own rules
  //   end it (not of one that a clock or a wish ends: that would not come again). Other columns do
  //   not depend on it.
  Trainer(const Experiment& experiment, const TheoryResolution& theory,
          const StoppingRule& stopping, std::unique_ptr<Stepper> stepper, base::RowSink& sink,
          const base::StopToken& stop, int64_t diagnostics_interval = 0);
  // Records up to `records` more iterates, the first of all being iteration 0. Returns early on a
  // stopping rule, divergence or the token, which is read once an iterate; that iterate is still
  // recorded. At one record DIVERGED goes before CONVERGED, MAX_ITERATIONS, CANCELLED. After the
  // end it does nothing and returns the same progress. The records depend on nothing but the
  // experiment: not on how they are cut into calls.
  // Cost: Observe and Step of the plan, one Append, and about 30 ns, each iterate; Diagnose of the
  // plan, each that is diagnosed.
  Progress Advance(int64_t records);
  const Progress& progress() const { return progress_; }
  // One record in two halves, with the same bits and order of calls as Advance(1): Begin goes to
  // the iterate and says which product its observation needs, which may be computed meanwhile, End
  // records it. Only while the run goes on. See AdvanceTogether.
  Stepper::Product Begin();
  void End() { Record(stepper_->EndObserve()); }
  // Whether the token is heeded; it is from the beginning. Not while a run computes again what was
  // recorded before: it must not end earlier than it had come.
  void set_heeds_stop(bool heeds) { heeds_stop_ = heeds; }
  // Of the records so far; all defaults before the first.  Cost: O(1), and the plan's
  // flipped_share.
  RunSummary summary() const;

  // The run so far, between two calls of Advance: everything that the records to come and the
  // summary depend on, to the bit. A stop asked for is not kept: it belongs to the process, and a
  // run that is loaded goes on.
  // Cost: the optimizer's vectors, and about 5 kB; no copy of them is made.
  void Save(base::ByteSink& out) const;
  // What Save wrote, and nothing after it, into a trainer just made of the same arguments (sink and
  // stop aside). Advance then appends the rows after the last saved one, the very bits that the
  // saved run would have.
  // Errors: DataLoss if the bytes are not of a run of this experiment, theory and stopping rule, or
  // give another observation here than where they were saved; those of `in`. Then the trainer must
  // not be used.   Cost: as Save, and the plan's Observe.
  absl::Status Load(base::ByteSource& in);

 private:
  absl::Status LoadRecords(base::ByteSource& in);
  void Start(const Observation& observation);
  void Record(const Observation& observation);
  double StackedNorm(double residual_norm) const;
  void AppendRow(int64_t iteration, const Observation& observation);
  // By the run's own rules.
  std::optional<StopReason> Check(int64_t iteration, const Observation& observation,
                                  double stacked_norm) const;

  const Experiment experiment_;
  const TheoryResolution theory_;
  const StoppingRule stopping_;
  const std::unique_ptr<Stepper> stepper_;
  base::RowSink& sink_;
  const base::StopToken& stop_;
  const int64_t diagnostics_interval_;
  // Both made at record 0, where the rounding floor becomes known.
  std::optional<RateEstimator> rates_;
  std::optional<CertificateChecker> checker_;
  Observation initial_;
  Observation last_;
  double previous_residual_norm_ = 0;  // |xi_{t-1}|, with xi_{-1} = xi_0
  double loss_target_ = -std::numeric_limits<double>::infinity();  // relative_loss x loss_0
  double divergence_level_ = 0;                                    // 1e12 p_0
  Progress progress_;
  bool heeds_stop_ = true;
};

struct SavedIterate {
  int64_t iteration = -1;  // of the last record; -1: none, so that it is the starting point
  int64_t dimension = 0;   // d; 0 if the plan keeps other coordinates
};
// Reads what Trainer::Save wrote up to the first value of its iterate; the iterate's `dimension`
// doubles are what comes next.   Errors: DataLoss if it is no saved state; those of `in`.
absl::StatusOr<SavedIterate> SeekSavedIterate(base::ByteSource& in);
// The literal iterate of such a state as bytes of d doubles, by a stepper just made of the same
// experiment.   Errors: DataLoss, as Trainer::Load's; those of `in`.
absl::StatusOr<std::string> ReadSavedIterate(base::ByteSource& in, Stepper& stepper);

}  // namespace polyak::engine
