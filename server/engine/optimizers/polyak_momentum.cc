#include "server/engine/optimizers/polyak_momentum.h"

#include <utility>

#include "server/engine/linalg/vector_bytes.h"

namespace polyak::engine {
namespace {

constexpr int64_t kStateKind = 2;  // of the three methods, in a saved state

class PolyakMomentum : public Optimizer {
 public:
  PolyakMomentum(double step_size, double momentum, Vector initial_point)
      : step_size_(step_size),
        momentum_(momentum),
        iterate_(std::move(initial_point)),
        memory_(Vector::Zero(iterate_.size())) {}

  const Vector& iterate() const override { return iterate_; }

  void Update(const Vector& gradient) override {
    // M_{-1} = 0, so the first step is a plain gradient step. One pass over memory.
    const Eigen::Index dimension = iterate_.size();
    const double* const grad = gradient.data();
    double* const memory = memory_.data();
    double* const iterate = iterate_.data();
    for (Eigen::Index i = 0; i < dimension; ++i) {
      memory[i] = momentum_ * memory[i] + grad[i];
      iterate[i] -= step_size_ * memory[i];
    }
  }

  std::optional<LinearMethod> linear() const override {
    return LinearMethod{step_size_, momentum_, 0, 1};
  }

  void Save(base::ByteSink& out) const override {
    out.WriteInt(kStateKind);
    out.WriteDouble(step_size_);
    out.WriteDouble(momentum_);
    SaveVector(iterate_, out);
    SaveVector(memory_, out);
  }

  absl::Status Load(base::ByteSource& in) override {
    in.ExpectInt(kStateKind, "the method of a saved state");
    in.ExpectDouble(step_size_, "the step size of a saved state");
    in.ExpectDouble(momentum_, "the momentum of a saved state");
    LoadVector(in, iterate_);
    LoadVector(in, memory_);
    return in.status();
  }

 private:
  const double step_size_;
  const double momentum_;
  Vector iterate_;
  Vector memory_;
};

}  // namespace

std::unique_ptr<Optimizer> MakePolyakMomentum(double step_size, double momentum,
                                              Vector initial_point) {
  return std::make_unique<PolyakMomentum>(step_size, momentum, std::move(initial_point));
}

}  // namespace polyak::engine
