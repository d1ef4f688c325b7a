#include "server/engine/optimizers/gradient_descent.h"

#include <utility>

namespace polyak::engine {
namespace {

class GradientDescent : public Optimizer {
 public:
  GradientDescent(double step_size, Vector initial_point)
      : step_size_(step_size), iterate_(std::move(initial_point)) {}

  const Vector& iterate() const override { return iterate_; }
  void Update(const Vector& gradient) override { iterate_.noalias() -= step_size_ * gradient; }
  std::optional<LinearMethod> linear() const override { return LinearMethod{step_size_, 0, 0, 1}; }

 private:
  const double step_size_;
  Vector iterate_;
};

}  // namespace

std::unique_ptr<Optimizer> MakeGradientDescent(double step_size, Vector initial_point) {
  return std::make_unique<GradientDescent>(step_size, std::move(initial_point));
}

}  // namespace polyak::engine
