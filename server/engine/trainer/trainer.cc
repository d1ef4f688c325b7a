#include "server/engine/trainer/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace polyak::engine {
namespace {

constexpr double kDivergenceFactor = 1e12;
// The layout of a saved state; another number for every change of it, in any part.
constexpr int64_t kStateLayout = 5;

void Write(const Observation& observation, base::ByteSink& out) {
  out.WriteDouble(observation.loss);
  out.WriteDouble(observation.residual_norm);
}

Observation ReadObservation(base::ByteSource& in) { return {in.ReadDouble(), in.ReadDouble()}; }

// -1 for a run that goes on: one that was asked to stop does, where it is loaded.
int64_t ReasonNumber(const std::optional<StopReason>& reason) {
  return reason.value_or(StopReason::kCancelled) == StopReason::kCancelled
             ? -1
             : static_cast<int64_t>(*reason);
}

// Of the reasons that a trainer has of its own.
std::optional<StopReason> ReadReason(base::ByteSource& in) {
  const int64_t number = in.ReadIntWithin(-1, static_cast<int64_t>(StopReason::kDiverged));
  if (number == static_cast<int64_t>(StopReason::kTimeLimit)) {
    in.Fail(absl::DataLossError("the reason of a saved state is that of a clock"));
  }
  return number < 0 ? std::nullopt : std::optional(static_cast<StopReason>(number));
}

}  // namespace

Trainer::Trainer(const Experiment& experiment, const TheoryResolution& theory,
                 const StoppingRule& stopping, std::unique_ptr<Stepper> stepper,
                 base::RowSink& sink, const base::StopToken& stop, int64_t diagnostics_interval)
    : experiment_(experiment),
      theory_(theory),
      stopping_(stopping),
      stepper_(std::move(stepper)),
      sink_(sink),
      stop_(stop),
      diagnostics_interval_(diagnostics_interval) {}

void Trainer::Start(const Observation& observation) {
  initial_ = observation;
  previous_residual_norm_ = observation.residual_norm;
  const double floor = RoundingFloor(experiment_.problem, observation.residual_norm);
  rates_.emplace(floor);
  checker_.emplace(theory_.bound, theory_.prediction.assumptions, floor);
  // Never infinite, so that one comparison catches every p_t that is not finite.
  divergence_level_ = std::min(kDivergenceFactor * StackedNorm(observation.residual_norm),
                               std::numeric_limits<double>::max());
  if (stopping_.relative_loss.has_value()) {
    loss_target_ = *stopping_.relative_loss * observation.loss;
  }
}

// p_t = |[xi_t; xi_{t-1}]|. The plain form unless squares would leave the numbers.
double Trainer::StackedNorm(double residual_norm) const {
  const double squares =
      residual_norm * residual_norm + previous_residual_norm_ * previous_residual_norm_;
  if (squares > 1e-280 && squares < 1e280) [[likely]] {
    return std::sqrt(squares);
  }
  return std::hypot(residual_norm, previous_residual_norm_);
}

std::optional<StopReason> Trainer::Check(int64_t iteration, const Observation& observation,
                                         double stacked_norm) const {
  // Written so that NaN counts as divergence.
  if (!(stacked_norm <= divergence_level_) || !std::isfinite(observation.loss)) [[unlikely]] {
    return StopReason::kDiverged;
  }
  if (observation.loss <= loss_target_ || initial_.loss == 0) {
    return StopReason::kConverged;
  }
  if (iteration >= stopping_.max_iterations) {
    return StopReason::kMaxIterations;
  }
  return std::nullopt;
}

void Trainer::AppendRow(int64_t iteration, const Observation& observation) {
  std::array<double, kDiagnosedTraceColumns> row = {observation.loss, observation.residual_norm,
                                                    rates_->column()};
  if (diagnostics_interval_ == 0) {
    sink_.Append(std::span(row).first(kTraceColumns));
    return;
  }
  Diagnostics diagnostics;
  if (iteration % diagnostics_interval_ == 0 || !progress_.running()) {
    diagnostics = stepper_->Diagnose();
  }
  row[kSmallestEigenvalue] = diagnostics.smallest_eigenvalue;
  row[kLargestEigenvalue] = diagnostics.largest_eigenvalue;
  row[kConditionNumber] = diagnostics.condition_number;
  row[kFlippedShare] = diagnostics.flipped_share;
  row[kDistanceFromStart] = diagnostics.distance_from_start;
  sink_.Append(row);
}

Progress Trainer::Advance(int64_t records) {
  for (int64_t k = 0; k < records && progress_.running(); ++k) {
    if (progress_.iteration >= 0) {
      stepper_->Step();
    }
    Record(stepper_->Observe());
  }
  return progress_;
}

Stepper::Product Trainer::Begin() {
  if (progress_.iteration >= 0) {
    stepper_->Step();
  }
  return stepper_->BeginObserve();
}

void Trainer::Record(const Observation& observation) {
  const int64_t iteration = ++progress_.iteration;
  if (iteration == 0) {
    Start(observation);
  }
  const double stacked_norm = StackedNorm(observation.residual_norm);
  rates_->Add(stacked_norm);
  checker_->Add(iteration, observation.residual_norm, stacked_norm);
  progress_.reason = Check(iteration, observation, stacked_norm);
  AppendRow(iteration, observation);
  if (progress_.running() && heeds_stop_ && stop_.stop_requested()) {
    progress_.reason = StopReason::kCancelled;
  }
  previous_residual_norm_ = observation.residual_norm;
  last_ = observation;
}

RunSummary Trainer::summary() const {
  RunSummary summary;
  if (progress_.iteration < 0) {
    return summary;
  }
  summary.iterations = progress_.iteration;
  summary.initial_loss = initial_.loss;
  summary.final_loss = last_.loss;
  summary.initial_residual_norm = initial_.residual_norm;
  summary.final_residual_norm = last_.residual_norm;
  summary.windowed = rates_->Windowed();
  summary.overall = rates_->Overall();
  summary.quotient = rates_->Quotient();
  summary.peak_ratio = rates_->peak_ratio();
  summary.peak_iteration = rates_->peak_iteration();
  summary.flipped_share = stepper_->flipped_share();
  summary.certificate = checker_->certificate();
  return summary;
}

void Trainer::Save(base::ByteSink& out) const {
  out.WriteInt(kStateLayout);
  out.WriteInt(progress_.iteration);
  stepper_->Save(out);
  if (progress_.iteration >= 0) {
    out.WriteInt(ReasonNumber(progress_.reason));
    Write(initial_, out);
    Write(last_, out);
    out.WriteDouble(previous_residual_norm_);
    out.WriteDouble(loss_target_);
    out.WriteDouble(divergence_level_);
    rates_->Save(out);
    checker_->Save(out);
  }
}

absl::Status Trainer::Load(base::ByteSource& in) {
  in.ExpectInt(kStateLayout, "the layout of a saved state");
  progress_ = {};
  progress_.iteration = in.ReadIntWithin(-1, stopping_.max_iterations);
  POLYAK_RETURN_IF_ERROR(in.status());
  POLYAK_RETURN_IF_ERROR(stepper_->Load(in));
  if (progress_.iteration >= 0) {
    POLYAK_RETURN_IF_ERROR(LoadRecords(in));
  }
  if (!in.at_end()) {
    in.Fail(absl::DataLossError("a saved state goes on after its end"));
  }
  return in.status();
}

absl::Status Trainer::LoadRecords(base::ByteSource& in) {
  progress_.reason = ReadReason(in);
  initial_ = ReadObservation(in);
  last_ = ReadObservation(in);
  previous_residual_norm_ = in.ReadDouble();
  loss_target_ = in.ReadDouble();
  divergence_level_ = in.ReadDouble();
  rates_.emplace(0);  // the floor is the saved one
  POLYAK_RETURN_IF_ERROR(rates_->Load(in));
  checker_.emplace(theory_.bound, theory_.prediction.assumptions, 0);
  POLYAK_RETURN_IF_ERROR(checker_->Load(in));
  if (rates_->count() != progress_.iteration + 1) {
    return absl::DataLossError(absl::StrCat("a saved state has ", rates_->count(),
                                            " values of the rate at iteration ",
                                            progress_.iteration));
  }
  return in.status();
}

absl::StatusOr<SavedIterate> SeekSavedIterate(base::ByteSource& in) {
  in.ExpectInt(kStateLayout, "the layout of a saved state");
  SavedIterate saved;
  saved.iteration = in.ReadIntWithin(-1, std::numeric_limits<int64_t>::max());
  saved.dimension = in.ReadIntWithin(0, std::numeric_limits<int64_t>::max());
  POLYAK_RETURN_IF_ERROR(in.status());
  return saved;
}

absl::StatusOr<std::string> ReadSavedIterate(base::ByteSource& in, Stepper& stepper) {
  in.ExpectInt(kStateLayout, "the layout of a saved state");
  in.ReadInt();  // the iteration
  POLYAK_RETURN_IF_ERROR(stepper.Load(in));
  base::StringSink values;
  stepper.WriteIterate(values);
  return values.bytes();
}

}  // namespace polyak::engine
