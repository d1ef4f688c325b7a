#include "server/engine/theory/tuning.h"

#include <cmath>

namespace polyak::engine {
namespace {

double Square(double x) { return x * x; }

TunedParameters TuneGradientDescent(const TuningSpectrum& spectrum, Tuning tuning) {
  return {tuning == Tuning::kTheorem ? 1 / spectrum.largest
                                     : 2 / (spectrum.smallest + spectrum.largest),
          0};
}

TunedParameters TunePolyak(const TuningSpectrum& spectrum, Tuning tuning) {
  const double root = std::sqrt(spectrum.condition_number());
  if (tuning == Tuning::kTheorem) {
    return {1 / spectrum.largest, Square(1 - 1 / (2 * root))};  // (T2)
  }
  return {4 / Square(std::sqrt(spectrum.smallest) + std::sqrt(spectrum.largest)),
          Square((root - 1) / (root + 1))};  // (T3)
}

TunedParameters TuneNesterov(const TuningSpectrum& spectrum, Tuning tuning) {
  if (tuning == Tuning::kTheorem) {
    const double root = std::sqrt(spectrum.condition_number());
    return {1 / spectrum.largest, (root - 1) / (root + 1)};
  }
  const double root = std::sqrt(3 * spectrum.condition_number() + 1);
  return {4 / (3 * spectrum.largest + spectrum.smallest), (root - 2) / (root + 2)};
}

}  // namespace

TunedParameters TuneParameters(const OptimizerSpec& optimizer, const TuningSpectrum& spectrum,
                               Tuning tuning) {
  if (std::holds_alternative<GradientDescentSpec>(optimizer)) {
    return TuneGradientDescent(spectrum, tuning);
  }
  if (std::holds_alternative<PolyakMomentumSpec>(optimizer)) {
    return TunePolyak(spectrum, tuning);
  }
  return TuneNesterov(spectrum, tuning);
}

bool NeedsTuning(const OptimizerSpec& optimizer) {
  return std::visit(
      [](const auto& method) {
        if constexpr (requires { method.momentum; }) {
          return !method.step_size.has_value() || !method.momentum.has_value();
        } else {
          return !method.step_size.has_value();
        }
      },
      optimizer);
}

OptimizerSpec FillParameters(const OptimizerSpec& optimizer, const TunedParameters& tuned) {
  return std::visit(
      [&tuned](auto method) -> OptimizerSpec {
        method.step_size = method.step_size.value_or(tuned.step_size);
        if constexpr (requires { method.momentum; }) {
          method.momentum = method.momentum.value_or(tuned.momentum);
        }
        return method;
      },
      optimizer);
}

bool IsMixed(const OptimizerSpec& optimizer) {
  return std::visit(
      [](const auto& method) {
        if constexpr (requires { method.momentum; }) {
          return method.step_size.has_value() != method.momentum.has_value();
        } else {
          return false;
        }
      },
      optimizer);
}

}  // namespace polyak::engine
