#include "tests/reference/method.h"

#include <cstddef>
#include <utility>

namespace polyak::reference {

Points::Points(const Method& method, Row initial_point)
    : method_(method), current_(std::move(initial_point)), other_(current_) {}

void Points::Step(const Row& gradient) {
  for (size_t i = 0; i < current_.size(); ++i) {
    const long double w = current_[i];
    const long double descended = w - method_.step_size * gradient[i];
    switch (method_.kind) {
      case MethodKind::kGradientDescent:
        current_[i] = descended;
        break;
      case MethodKind::kPolyak:
        current_[i] = descended + method_.momentum * (w - other_[i]);
        other_[i] = w;
        break;
      case MethodKind::kNesterov:
        current_[i] = descended + method_.momentum * (descended - other_[i]);
        other_[i] = descended;
        break;
    }
  }
}

}  // namespace polyak::reference
