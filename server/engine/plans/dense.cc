#include "server/engine/plans/dense.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"

namespace polyak::engine {
namespace {

// One NaN is as good as another: both say that the run left the numbers.
bool Same(double a, double b) {
  return std::bit_cast<int64_t>(a) == std::bit_cast<int64_t>(b) || (std::isnan(a) && std::isnan(b));
}

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
  void Step() override { optimizer_->Update(gradient_); }
  double flipped_share() const override { return problem_->flipped_share(); }

  // Not the gradient: it follows from the iterate, to the bit, and is half of what a run of
  // gradient descent would have to write.
  void Save(base::ByteSink& out) const override {
    optimizer_->Save(out);
    out.WriteInt(observed_ ? 1 : 0);
    out.WriteDouble(observation_.loss);
    out.WriteDouble(observation_.residual_norm);
  }

  absl::Status Load(base::ByteSource& in) override {
    POLYAK_RETURN_IF_ERROR(optimizer_->Load(in));
    observed_ = in.ReadIntWithin(0, 1) == 1;
    const Observation saved = {in.ReadDouble(), in.ReadDouble()};
    POLYAK_RETURN_IF_ERROR(in.status());
    if (observed_) {
      Observe();
    }
    // The proof that problem, build and processor compute what they did.
    if (!Same(observation_.loss, saved.loss) ||
        !Same(observation_.residual_norm, saved.residual_norm)) {
      return absl::DataLossError(absl::StrFormat(
          "the loss of a saved iterate is %.17g here and its residual %.17g; accepted: %.17g and "
          "%.17g, as they were when it was saved",
          observation_.loss, observation_.residual_norm, saved.loss, saved.residual_norm));
    }
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<Problem> problem_;
  const std::unique_ptr<Optimizer> optimizer_;
  Vector gradient_;
  bool observed_ = false;  // whether gradient_ and observation_ are of the iterate
  Observation observation_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Stepper>> MakeDenseStepper(const Experiment& experiment) {
  std::unique_ptr<Problem> problem = MakeProblem(experiment.problem);
  std::unique_ptr<Optimizer> optimizer =
      MakeOptimizer(experiment.optimizer, problem->initial_point());
  return std::make_unique<DenseStepper>(std::move(problem), std::move(optimizer));
}

}  // namespace polyak::engine
