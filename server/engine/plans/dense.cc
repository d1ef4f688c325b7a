#include "server/engine/plans/dense.h"

#include <utility>

namespace polyak::engine {
namespace {

class DenseStepper : public Stepper {
 public:
  DenseStepper(std::unique_ptr<Problem> problem, std::unique_ptr<Optimizer> optimizer)
      : problem_(std::move(problem)),
        optimizer_(std::move(optimizer)),
        gradient_(problem_->dimension()) {}

  Observation Observe() override { return problem_->Evaluate(optimizer_->iterate(), &gradient_); }
  void Step() override { optimizer_->Update(gradient_); }
  double flipped_share() const override { return problem_->flipped_share(); }

 private:
  const std::unique_ptr<Problem> problem_;
  const std::unique_ptr<Optimizer> optimizer_;
  Vector gradient_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Stepper>> MakeDenseStepper(const Experiment& experiment) {
  std::unique_ptr<Problem> problem = MakeProblem(experiment.problem);
  std::unique_ptr<Optimizer> optimizer =
      MakeOptimizer(experiment.optimizer, problem->initial_point());
  return std::make_unique<DenseStepper>(std::move(problem), std::move(optimizer));
}

}  // namespace polyak::engine
