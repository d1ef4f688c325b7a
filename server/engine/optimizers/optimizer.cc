#include "server/engine/optimizers/optimizer.h"

#include <utility>

#include "server/base/check.h"
#include "server/base/overloaded.h"
#include "server/engine/optimizers/gradient_descent.h"
#include "server/engine/optimizers/nesterov_momentum.h"
#include "server/engine/optimizers/polyak_momentum.h"

namespace polyak::engine {
namespace {

double Set(const std::optional<double>& parameter) {
  POLYAK_CHECK(parameter.has_value());
  return *parameter;
}

}  // namespace

std::unique_ptr<Optimizer> MakeOptimizer(const OptimizerSpec& spec, Vector initial_point) {
  return std::visit(
      base::Overloaded{[&](const GradientDescentSpec& method) {
                         return MakeGradientDescent(Set(method.step_size),
                                                    std::move(initial_point));
                       },
                       [&](const PolyakMomentumSpec& method) {
                         return MakePolyakMomentum(Set(method.step_size), Set(method.momentum),
                                                   std::move(initial_point));
                       },
                       [&](const NesterovMomentumSpec& method) {
                         return MakeNesterovMomentum(Set(method.step_size), Set(method.momentum),
                                                     std::move(initial_point));
                       }},
      spec);
}

LinearMethod LinearForm(const OptimizerSpec& spec) {
  return std::visit(
      base::Overloaded{[](const GradientDescentSpec& method) {
                         return LinearMethod{Set(method.step_size), 0, 0, 1};
                       },
                       [](const PolyakMomentumSpec& method) {
                         return LinearMethod{Set(method.step_size), Set(method.momentum), 0, 1};
                       },
                       [](const NesterovMomentumSpec& method) {
                         return LinearMethod{Set(method.step_size), Set(method.momentum), 1,
                                             Set(method.momentum)};
                       }},
      spec);
}

int StateVectors(const OptimizerSpec& spec) {
  return std::holds_alternative<GradientDescentSpec>(spec) ? 1 : 2;
}

}  // namespace polyak::engine
