#include "server/engine/trainer/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace polyak::engine {
namespace {

constexpr double kDivergenceFactor = 1e12;

}  // namespace

Trainer::Trainer(const Experiment& experiment, const TheoryResolution& theory,
                 const StoppingRule& stopping, std::unique_ptr<Stepper> stepper,
                 base::RowSink& sink, const base::StopToken& stop)
    : experiment_(experiment),
      theory_(theory),
      stopping_(stopping),
      stepper_(std::move(stepper)),
      sink_(sink),
      stop_(stop) {}

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
  if (stop_.stop_requested()) {
    return StopReason::kCancelled;
  }
  return std::nullopt;
}

Progress Trainer::Advance(int64_t records) {
  for (int64_t k = 0; k < records && progress_.running(); ++k) {
    if (progress_.iteration >= 0) {
      stepper_->Step();
    }
    const Observation observation = stepper_->Observe();
    const int64_t iteration = ++progress_.iteration;
    if (iteration == 0) {
      Start(observation);
    }
    const double stacked_norm = StackedNorm(observation.residual_norm);
    rates_->Add(stacked_norm);
    checker_->Add(iteration, observation.residual_norm, stacked_norm);
    const std::array<double, kTraceColumns> row = {observation.loss, observation.residual_norm,
                                                   rates_->column()};
    sink_.Append(row);
    progress_.reason = Check(iteration, observation, stacked_norm);
    previous_residual_norm_ = observation.residual_norm;
    last_ = observation;
  }
  return progress_;
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

}  // namespace polyak::engine
