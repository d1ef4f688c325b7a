#include "server/spec/parse_optimizer.h"

#include <cmath>
#include <string>

namespace polyak::spec {
namespace {

template <typename Method>
std::optional<double> ParseStepSize(const Method& method, const std::string& path,
                                    Violations& violations) {
  if (!method.has_step_size()) {
    return std::nullopt;
  }
  if (!std::isfinite(method.step_size()) || method.step_size() <= 0) {
    violations.Add(path + ".step_size",
                   Refusal(method.step_size(), "a finite number above 0, or unset"));
  }
  return method.step_size();
}

template <typename Method>
std::optional<double> ParseMomentum(const Method& method, const std::string& path,
                                    Violations& violations) {
  if (!method.has_momentum()) {
    return std::nullopt;
  }
  if (!(method.momentum() >= 0 && method.momentum() < 1)) {
    violations.Add(path + ".momentum", Refusal(method.momentum(), "0 <= momentum < 1, or unset"));
  }
  return method.momentum();
}

}  // namespace

engine::OptimizerSpec ParseOptimizer(const v1::Optimizer& message, Violations& violations) {
  const std::string path = "spec.optimizer";
  switch (message.method_case()) {
    case v1::Optimizer::kGradientDescent:
      return engine::GradientDescentSpec{
          ParseStepSize(message.gradient_descent(), path + ".gradient_descent", violations)};
    case v1::Optimizer::kPolyakMomentum:
      return engine::PolyakMomentumSpec{
          ParseStepSize(message.polyak_momentum(), path + ".polyak_momentum", violations),
          ParseMomentum(message.polyak_momentum(), path + ".polyak_momentum", violations)};
    case v1::Optimizer::kNesterovMomentum:
      return engine::NesterovMomentumSpec{
          ParseStepSize(message.nesterov_momentum(), path + ".nesterov_momentum", violations),
          ParseMomentum(message.nesterov_momentum(), path + ".nesterov_momentum", violations)};
    case v1::Optimizer::METHOD_NOT_SET:
      break;
  }
  violations.Add(path + ".method",
                 Refusal("not set", "gradient_descent, polyak_momentum or nesterov_momentum"));
  return {};
}

engine::Tuning ParseTuning(v1::Tuning tuning, Violations& violations) {
  switch (tuning) {
    case v1::TUNING_UNSPECIFIED:
    case v1::TUNING_THEOREM:
      return engine::Tuning::kTheorem;
    case v1::TUNING_ASYMPTOTIC:
      return engine::Tuning::kAsymptotic;
    default:
      violations.Add("spec.optimizer.tuning",
                     Refusal(static_cast<int>(tuning),
                             "TUNING_UNSPECIFIED, TUNING_THEOREM, TUNING_ASYMPTOTIC"));
      return engine::Tuning::kTheorem;
  }
}

}  // namespace polyak::spec
