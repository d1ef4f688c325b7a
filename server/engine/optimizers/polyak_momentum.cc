#include "server/engine/optimizers/polyak_momentum.h"

#include <utility>

#include "server/engine/optimizers/momentum_state.h"

namespace polyak::engine {
namespace {

constexpr int64_t kStateKind = 2;  // of the three methods, in a saved state

class PolyakMomentum : public Optimizer {
 public:
  PolyakMomentum(double step_size, double momentum, Vector initial_point)
      : state_(step_size, momentum, std::move(initial_point)) {}

  const Vector& iterate() const override { return state_.iterate; }

  void Update(const Vector& gradient) override {
    // M_{-1} = 0, so the first step is a plain gradient step. One pass over memory.
    const Eigen::Index dimension = state_.iterate.size();
    const double* const grad = gradient.data();
    double* const memory = state_.memory.data();
    double* const iterate = state_.iterate.data();
    for (Eigen::Index i = 0; i < dimension; ++i) {
      memory[i] = state_.momentum * memory[i] + grad[i];
      iterate[i] -= state_.step_size * memory[i];
    }
  }

  std::optional<LinearMethod> linear() const override {
    return LinearMethod{state_.step_size, state_.momentum, 0, 1};
  }

  void Save(base::ByteSink& out) const override { state_.Save(kStateKind, out); }
  absl::Status Load(base::ByteSource& in) override { return state_.Load(kStateKind, in); }

 private:
  MomentumState state_;
};

}  // namespace

std::unique_ptr<Optimizer> MakePolyakMomentum(double step_size, double momentum,
                                              Vector initial_point) {
  return std::make_unique<PolyakMomentum>(step_size, momentum, std::move(initial_point));
}

}  // namespace polyak::engine
