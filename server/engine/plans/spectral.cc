#include "server/engine/plans/spectral.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/engine/plans/padded_vector.h"
#include "server/engine/plans/saved_plan.h"

namespace polyak::engine {
namespace {

constexpr int64_t kSpectralState = 1;  // of the reduced plans, in a saved state

using QuadraticPointer = std::shared_ptr<const QuadraticInstance>;

class SpectralStepper : public Stepper {
 public:
  SpectralStepper(QuadraticPointer instance, const LinearMethod& method)
      : instance_(std::move(instance)),
        method_(method),
        factors_{method.step_size, method.momentum, method.gradient_weight, method.memory_weight},
        // Rounding takes zeros of a singular Hessian below 0, where a loss can't be.
        eigenvalues_(instance_->is_diagonal()
                         ? std::get<Vector>(instance_->hessian)
                         : Vector(instance_->spectrum.eigenvalues.cwiseMax(0))),
        coordinates_(Start(*instance_)),
        memory_(instance_->dimension()) {
    Sum(kernels_.diagonal_sums(coordinates_.padded_size(), eigenvalues_.data(),
                               coordinates_.data()));
  }

  Observation Observe() override {
    observed_ = true;
    return observation_;
  }

  // With the next observation: one pass over the coordinates.
  void Step() override {
    Sum(kernels_.diagonal_step(coordinates_.padded_size(), factors_, eigenvalues_.data(),
                               memory_.data(), coordinates_.data()));
  }

  double flipped_share() const override { return std::numeric_limits<double>::quiet_NaN(); }

  // |w_t - w_0| = |v_t - v_0|, the coordinates being orthonormal.
  Diagnostics Diagnose() override {
    if (!start_.has_value()) {
      start_ = Start(*instance_);
    }
    return DiagnoseQuadratic(*instance_, (coordinates_.values() - *start_).norm());
  }

  void WriteIterate(base::ByteSink& out) const override {
    const Vector iterate = instance_->is_diagonal()
                               ? Vector(instance_->minimiser + coordinates_.values())
                               : Vector(instance_->minimiser +
                                        *instance_->spectrum.eigenvectors * coordinates_.values());
    for (const double value : iterate) {
      out.WriteDouble(value);
    }
  }

  void Save(base::ByteSink& out) const override {
    SaveReducedHead(kSpectralState, method_, out);
    coordinates_.Save(out);
    memory_.Save(out);
    SaveObservation(observed_, observation_, out);
  }

  absl::Status Load(base::ByteSource& in) override {
    ExpectReducedHead(kSpectralState, method_, in);
    coordinates_.Load(in);
    memory_.Load(in);
    const SavedObservation saved = ReadObservation(in);
    POLYAK_RETURN_IF_ERROR(in.status());
    observed_ = saved.observed;
    Sum(kernels_.diagonal_sums(coordinates_.padded_size(), eigenvalues_.data(),
                               coordinates_.data()));
    return CheckSameObservation(observation_, saved.observation);
  }

 private:
  static Vector Start(const QuadraticInstance& instance) {
    const Vector start = instance.initial_point - instance.minimiser;
    return instance.is_diagonal() ? start
                                  : Vector(instance.spectrum.eigenvectors->transpose() * start);
  }
  void Sum(const PointSums& sums) { observation_ = {0.5 * sums.form, std::sqrt(sums.squares)}; }

  const QuadraticPointer instance_;
  const LinearMethod method_;
  const StepFactors factors_;
  const LaneKernels& kernels_ = WidestKernels();
  const PaddedVector eigenvalues_;  // h (d)
  PaddedVector coordinates_;        // v_t (d)
  PaddedVector memory_;             // M_{t-1} (d), in the same coordinates
  std::optional<Vector> start_;     // v_0 (d), once diagnostics were asked for
  bool observed_ = false;
  Observation observation_;  // of v_t
};

}  // namespace

std::optional<PlanCost> SpectralCost(const ProblemSpec& problem, const OptimizerSpec& optimizer) {
  const auto* const quadratic = std::get_if<QuadraticSpec>(&problem);
  if (quadratic == nullptr) {
    return std::nullopt;
  }
  const ProblemCost literal = EstimateCost(problem);
  const double dimension = literal.parameters;
  const bool diagonal = std::holds_alternative<std::shared_ptr<const Vector>>(quadratic->hessian) ||
                        std::holds_alternative<GeneratedSpectrumSpec>(quadratic->hessian);
  if (!diagonal && dimension > static_cast<double>(kEigenvectorsDimensionMax)) {
    return std::nullopt;
  }
  PlanCost cost;
  cost.setup_operations = literal.setup_operations + (diagonal ? 0 : 2 * dimension * dimension);
  cost.operations_per_iteration = 9 * dimension;
  cost.saved_values = 2 * dimension;
  cost.bytes = literal.bytes + 4 * dimension * sizeof(double);
  static_cast<void>(optimizer);  // every method is linear in the gradients
  return cost;
}

Eligibility SpectralEligible(const Experiment& experiment) {
  const auto* const quadratic = std::get_if<QuadraticPointer>(&experiment.problem);
  if (quadratic == nullptr) {
    return {false, "the problem is no quadratic"};
  }
  if ((*quadratic)->is_diagonal()) {
    return {true, "coordinates around the minimiser, each of which moves by itself"};
  }
  if (!(*quadratic)->spectrum.eigenvectors.has_value()) {
    return {false, "the Hessian is too large for its eigenvectors"};
  }
  return {true, "coordinates along the eigenvectors of the Hessian, each of which moves by itself"};
}

absl::StatusOr<std::unique_ptr<Stepper>> MakeSpectralStepper(const Experiment& experiment,
                                                             const base::StopWish& /*stops*/) {
  const auto* const quadratic = std::get_if<QuadraticPointer>(&experiment.problem);
  POLYAK_CHECK(quadratic != nullptr);
  return std::make_unique<SpectralStepper>(*quadratic, LinearForm(experiment.optimizer));
}

}  // namespace polyak::engine
