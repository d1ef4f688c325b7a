#include "server/engine/optimizers/gradient_descent.h"

#include <utility>

#include "server/engine/linalg/vector_bytes.h"

namespace polyak::engine {
namespace {

constexpr int64_t kStateKind = 1;  // of the three methods, in a saved state

class GradientDescent : public Optimizer {
 public:
  GradientDescent(double step_size, Vector initial_point)
      : step_size_(step_size), iterate_(std::move(initial_point)) {}

  const Vector& iterate() const override { return iterate_; }
  void Update(const Vector& gradient) override { iterate_.noalias() -= step_size_ * gradient; }
  std::optional<LinearMethod> linear() const override { return LinearMethod{step_size_, 0, 0, 1}; }

  void Save(base::ByteSink& out) const override {
    SaveVector(iterate_, out);
    out.WriteInt(kStateKind);
    out.WriteDouble(step_size_);
  }

  absl::Status Load(base::ByteSource& in) override {
    LoadVector(in, iterate_);
    in.ExpectInt(kStateKind, "the method of a saved state");
    in.ExpectDouble(step_size_, "the step size of a saved state");
    return in.status();
  }

 private:
  const double step_size_;
  Vector iterate_;
};

}  // namespace

std::unique_ptr<Optimizer> MakeGradientDescent(double step_size, Vector initial_point) {
  return std::make_unique<GradientDescent>(step_size, std::move(initial_point));
}

}  // namespace polyak::engine
