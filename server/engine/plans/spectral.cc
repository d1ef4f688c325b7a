#include "server/engine/plans/spectral.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/vector_bytes.h"
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
        eigenvalues_(instance_->is_diagonal() ? std::get<Vector>(instance_->hessian)
                                              : instance_->spectrum.eigenvalues),
        memory_(Vector::Zero(eigenvalues_.size())) {
    const Vector start = instance_->initial_point - instance_->minimiser;
    coordinates_ = instance_->is_diagonal()
                       ? start
                       : Vector(instance_->spectrum.eigenvectors->transpose() * start);
  }

  Observation Observe() override {
    observed_ = true;
    const auto squares = coordinates_.array().square();
    observation_ = {0.5 * (eigenvalues_.array() * squares).sum(), std::sqrt(squares.sum())};
    return observation_;
  }

  void Step() override {
    const Eigen::Index dimension = coordinates_.size();
    const double* const eigenvalues = eigenvalues_.data();
    double* const memory = memory_.data();
    double* const coordinates = coordinates_.data();
    for (Eigen::Index i = 0; i < dimension; ++i) {
      const double gradient = eigenvalues[i] * coordinates[i];
      memory[i] = method_.momentum * memory[i] + gradient;
      coordinates[i] -= method_.step_size *
                        (method_.gradient_weight * gradient + method_.memory_weight * memory[i]);
    }
  }

  double flipped_share() const override { return std::numeric_limits<double>::quiet_NaN(); }

  void WriteIterate(base::ByteSink& out) const override {
    const Vector iterate =
        instance_->is_diagonal()
            ? Vector(instance_->minimiser + coordinates_)
            : Vector(instance_->minimiser + *instance_->spectrum.eigenvectors * coordinates_);
    for (const double value : iterate) {
      out.WriteDouble(value);
    }
  }

  void Save(base::ByteSink& out) const override {
    SaveReducedHead(kSpectralState, method_, out);
    SaveVector(coordinates_, out);
    SaveVector(memory_, out);
    SaveObservation(observed_, observation_, out);
  }

  absl::Status Load(base::ByteSource& in) override {
    ExpectReducedHead(kSpectralState, method_, in);
    LoadVector(in, coordinates_);
    LoadVector(in, memory_);
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
  const LinearMethod method_;
  const Vector eigenvalues_;  // h (d)
  Vector coordinates_;        // v_t (d)
  Vector memory_;             // M_{t-1} (d), in the same coordinates
  bool observed_ = false;
  Observation observation_;
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
  if (!diagonal && dimension > static_cast<double>(kFullSpectrumDimensionMax)) {
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

absl::StatusOr<std::unique_ptr<Stepper>> MakeSpectralStepper(const Experiment& experiment) {
  const auto* const quadratic = std::get_if<QuadraticPointer>(&experiment.problem);
  POLYAK_CHECK(quadratic != nullptr);
  return std::make_unique<SpectralStepper>(*quadratic, LinearForm(experiment.optimizer));
}

}  // namespace polyak::engine
