#include "server/engine/plans/dense.h"

#include <cmath>
#include <utility>
#include <variant>

#include "server/base/double_buffer.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/tile_kernels.h"
#include "server/engine/plans/dense_deep_linear.h"
#include "server/engine/plans/dense_relu.h"
#include "server/engine/plans/saved_plan.h"

namespace polyak::engine {
namespace {

class DenseStepper : public Stepper {
 public:
  DenseStepper(std::unique_ptr<Problem> problem, std::unique_ptr<Optimizer> optimizer)
      : problem_(std::move(problem)),
        optimizer_(std::move(optimizer)),
        gradient_(problem_->dimension()) {}

  Observation Observe() override {
    observed_ = true;
    observation_ = problem_->Evaluate(optimizer_->iterate(), &gradient_);
    return observation_;
  }
  Product BeginObserve() override {
    return {problem_->product_matrix(), optimizer_->iterate().data(), gradient_.data()};
  }
  Observation EndObserve() override {
    if (problem_->product_matrix() == nullptr) {
      return Observe();
    }
    observed_ = true;
    observation_ = problem_->EvaluateProduct(optimizer_->iterate(), gradient_);
    return observation_;
  }
  void Step() override { optimizer_->Update(gradient_); }
  double flipped_share() const override { return problem_->flipped_share(); }
  Diagnostics Diagnose() override { return problem_->Diagnose(optimizer_->iterate()); }

  void WriteIterate(base::ByteSink& out) const override {
    for (const double value : optimizer_->iterate()) {
      out.WriteDouble(value);
    }
  }

  // Not the gradient: it follows from the iterate, to the bit, and is half of what a run of
  // gradient descent would have to write.
  void Save(base::ByteSink& out) const override {
    optimizer_->Save(out);
    SaveObservation(observed_, observation_, out);
  }

  absl::Status Load(base::ByteSource& in) override {
    POLYAK_RETURN_IF_ERROR(optimizer_->Load(in));
    const SavedObservation saved = ReadObservation(in);
    POLYAK_RETURN_IF_ERROR(in.status());
    observed_ = saved.observed;
    if (observed_) {
      Observe();
    }
    return CheckSameObservation(observation_, saved.observation);
  }

 private:
  const std::unique_ptr<Problem> problem_;
  const std::unique_ptr<Optimizer> optimizer_;
  Vector gradient_;
  bool observed_ = false;  // whether gradient_ and observation_ are of the iterate
  Observation observation_;
};

// Of a matrix in tiles, whose rows and columns are filled up.
double PaddedValues(double rows, double cols) {
  constexpr double kRows = kTileRows;
  return kRows * std::ceil(rows / kRows) * kRows * std::ceil(cols / kRows);
}

}  // namespace

std::optional<PlanCost> DenseCost(const ProblemSpec& problem, const OptimizerSpec& optimizer) {
  const ProblemCost literal = EstimateCost(problem);
  const double vectors = StateVectors(optimizer);
  constexpr double kUpdateOperations = 4;
  PlanCost cost;
  cost.setup_operations = literal.setup_operations;
  cost.operations_per_iteration =
      literal.operations_per_iteration + kUpdateOperations * literal.parameters;
  cost.saved_values = vectors * literal.parameters;
  if (std::holds_alternative<QuadraticSpec>(problem)) {
    // The optimizer's, and the gradient.
    cost.bytes = literal.bytes + (vectors + 1) * literal.parameters * sizeof(double);
    return cost;
  }
  cost.bytes = literal.bytes;
  for (const ParameterMatrix& weights : ParameterMatrices(problem)) {
    cost.bytes += vectors * base::AllocatedBytes(PaddedValues(static_cast<double>(weights.rows),
                                                              static_cast<double>(weights.cols)));
  }
  // The start, which diagnostics measure the distance from.
  cost.diagnosed_bytes = literal.parameters * sizeof(double);
  if (const auto* relu = std::get_if<ReluNetworkSpec>(&problem)) {
    // A bit for each activation, by example.
    cost.diagnosed_bytes +=
        std::ceil(static_cast<double>(relu->width) / 64) * 8 * ShapeOf(relu->dataset).examples;
  }
  return cost;
}

absl::StatusOr<std::unique_ptr<Stepper>> MakeDenseStepper(const Experiment& experiment,
                                                          const base::StopWish& stops) {
  // The networks' gradients are of low rank, which their own steppers make use of.
  if (const auto* network =
          std::get_if<std::shared_ptr<const DeepLinearNetworkInstance>>(&experiment.problem)) {
    return MakeDenseDeepLinearStepper(*network, experiment.optimizer);
  }
  if (const auto* network =
          std::get_if<std::shared_ptr<const ReluNetworkInstance>>(&experiment.problem)) {
    return MakeDenseReluStepper(*network, experiment.optimizer, stops);
  }
  std::unique_ptr<Problem> problem = MakeProblem(experiment.problem);
  std::unique_ptr<Optimizer> optimizer =
      MakeOptimizer(experiment.optimizer, problem->initial_point());
  return std::make_unique<DenseStepper>(std::move(problem), std::move(optimizer));
}

}  // namespace polyak::engine
