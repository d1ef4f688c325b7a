#include "server/engine/plans/tridiagonal.h"

#include <algorithm>
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

constexpr int64_t kTridiagonalState = 4;  // of the reduced plans, in a saved state

using QuadraticPointer = std::shared_ptr<const QuadraticInstance>;

// The instance's form, or one made for this run: of a small matrix.
std::shared_ptr<const TridiagonalForm> FormOf(const QuadraticInstance& instance) {
  return instance.tridiagonal != nullptr
             ? instance.tridiagonal
             : std::make_shared<const TridiagonalForm>(instance.matrix());
}

class TridiagonalStepper : public Stepper {
 public:
  TridiagonalStepper(QuadraticPointer instance, const LinearMethod& method)
      : instance_(std::move(instance)),
        form_(FormOf(*instance_)),
        method_(method),
        factors_{method.step_size, method.momentum, method.gradient_weight, method.memory_weight},
        diagonal_(form_->diagonal()),
        off_diagonal_(form_->off_diagonal()),
        coordinates_(form_->Coordinates(instance_->initial_point - instance_->minimiser)),
        memory_(instance_->dimension()),
        gradient_(instance_->dimension()) {}

  Observation Observe() override {
    observed_ = true;
    const PointSums sums =
        kernels_.tridiagonal_product(coordinates_.padded_size(), diagonal_.data(),
                                     off_diagonal_.data(), coordinates_.data(), gradient_.data());
    // At the rounding floor the sum of products may fall below 0, which no loss does.
    observation_ = {std::isnan(sums.form) ? sums.form : std::max(0.5 * sums.form, 0.0),
                    std::sqrt(sums.squares)};
    return observation_;
  }

  void Step() override {
    kernels_.step(coordinates_.padded_size(), factors_, gradient_.data(), memory_.data(),
                  coordinates_.data());
  }

  double flipped_share() const override { return std::numeric_limits<double>::quiet_NaN(); }

  // |w_t - w_0| = |v_t - v_0|, the coordinates being orthonormal.
  Diagnostics Diagnose() override {
    if (!start_.has_value()) {
      start_ = form_->Coordinates(instance_->initial_point - instance_->minimiser);
    }
    return DiagnoseQuadratic(*instance_, (coordinates_.values() - *start_).norm());
  }

  void WriteIterate(base::ByteSink& out) const override {
    const Vector iterate = instance_->minimiser + form_->Combination(coordinates_.values());
    for (const double value : iterate) {
      out.WriteDouble(value);
    }
  }

  void Save(base::ByteSink& out) const override {
    SaveReducedHead(kTridiagonalState, method_, out);
    coordinates_.Save(out);
    memory_.Save(out);
    SaveObservation(observed_, observation_, out);
  }

  absl::Status Load(base::ByteSource& in) override {
    ExpectReducedHead(kTridiagonalState, method_, in);
    coordinates_.Load(in);
    memory_.Load(in);
    const SavedObservation saved = ReadObservation(in);
    POLYAK_RETURN_IF_ERROR(in.status());
    observed_ = saved.observed;
    if (observed_) {
      Observe();
    }
    return CheckSameObservation(observation_, saved.observation);
  }

 private:
  const QuadraticPointer instance_;
  const std::shared_ptr<const TridiagonalForm> form_;
  const LinearMethod method_;
  const StepFactors factors_;
  const LaneKernels& kernels_ = WidestKernels();
  const PaddedVector diagonal_;      // of T (d)
  const PaddedVector off_diagonal_;  // of T (d - 1)
  PaddedVector coordinates_;         // v_t (d)
  PaddedVector memory_;              // M_{t-1} (d), in the same coordinates
  PaddedVector gradient_;            // T v_t (d), of the last observation
  std::optional<Vector> start_;      // v_0 (d), once diagnostics were asked for
  bool observed_ = false;
  Observation observation_;
};

}  // namespace

std::optional<PlanCost> TridiagonalCost(const ProblemSpec& problem,
                                        const OptimizerSpec& optimizer) {
  const auto* const quadratic = std::get_if<QuadraticSpec>(&problem);
  if (quadratic == nullptr ||
      std::holds_alternative<std::shared_ptr<const Vector>>(quadratic->hessian) ||
      std::holds_alternative<GeneratedSpectrumSpec>(quadratic->hessian)) {
    return std::nullopt;
  }
  const ProblemCost literal = EstimateCost(problem);
  const double dimension = literal.parameters;
  const double squared = dimension * dimension;
  const bool own_form = dimension <= static_cast<double>(kEigenvectorsDimensionMax);
  PlanCost cost;
  cost.setup_operations =
      literal.setup_operations + 4 * squared + (own_form ? 4.0 / 3 * dimension + 200 : 0) * squared;
  cost.operations_per_iteration = 16 * dimension;
  cost.saved_values = 2 * dimension;
  cost.bytes = literal.bytes + 7 * dimension * sizeof(double) +
               (own_form ? 2 * squared + 400 * dimension : 0) * sizeof(double);
  static_cast<void>(optimizer);  // every method is linear in the gradients
  return cost;
}

Eligibility TridiagonalEligible(const Experiment& experiment) {
  const auto* const quadratic = std::get_if<QuadraticPointer>(&experiment.problem);
  if (quadratic == nullptr) {
    return {false, "the problem is no quadratic"};
  }
  if ((*quadratic)->is_diagonal()) {
    return {false, "the Hessian is diagonal already"};
  }
  return {true, "orthogonal coordinates in which the Hessian is tridiagonal"};
}

absl::StatusOr<std::unique_ptr<Stepper>> MakeTridiagonalStepper(const Experiment& experiment,
                                                                const base::StopWish& /*stops*/) {
  const auto* const quadratic = std::get_if<QuadraticPointer>(&experiment.problem);
  POLYAK_CHECK(quadratic != nullptr);
  return std::make_unique<TridiagonalStepper>(*quadratic, LinearForm(experiment.optimizer));
}

}  // namespace polyak::engine
