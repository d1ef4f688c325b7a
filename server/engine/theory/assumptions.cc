#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/theory/problem_theory.h"

namespace polyak::engine {

Assumption CheckedAssumption(std::string name, double required, double actual, bool met,
                             std::string text) {
  return {std::move(name), required, actual,
          met ? Assumption::Status::kMet : Assumption::Status::kUnmet, std::move(text)};
}

Assumption MethodNotCovered() {
  const double none = std::numeric_limits<double>::quiet_NaN();
  return CheckedAssumption("method_covered_by_theorem", none, none, false,
                           "The theorems are about gradient descent and Polyak's momentum; "
                           "Nesterov's method has no bound "
                           "here.");
}

Assumption TheoremParametersAssumption(const ChosenParameters& parameters) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  return CheckedAssumption(
      "theorem_parameters", none, none, parameters.theorem_parameters,
      "The theorem is about the step size and momentum that it names itself, as TUNING_THEOREM "
      "chooses them.");
}

void AddWidthOfTheorem(int64_t width, double required, std::string text, BoundChoice& choice) {
  const auto actual = static_cast<double>(width);
  choice.assumptions.push_back(CheckedAssumption("width_of_theorem_order", required, actual,
                                                 actual >= required, std::move(text)));
  if (actual < required) {
    choice.warnings.push_back(absl::StrCat(
        "the width ", width, " is below the theorem's order of about ", required,
        ", so the certificate will be NOT_APPLICABLE; the bound is checked all the same"));
  }
}

BoundSpec NetworkBound(const ChosenParameters& parameters, const TuningSpectrum& spectrum,
                       std::string polyak_theorem) {
  BoundSpec bound;
  if (std::holds_alternative<PolyakMomentumSpec>(parameters.optimizer)) {
    const double root = std::sqrt(spectrum.condition_number());
    bound.constant = 8 * root;
    bound.rate = 1 - 1 / (4 * root);
    bound.theorem = std::move(polyak_theorem);
  } else {
    bound.constant = 1;
    bound.rate = std::sqrt(1 - parameters.method.step_size * spectrum.smallest / 2);
    bound.on_stacked_norm = false;
    bound.theorem = "T11";
  }
  return bound;
}

double ComplexRegimeMargin(double momentum, double z) {
  const double root = std::sqrt(z);
  return -(momentum - (1 - root) * (1 - root)) * (momentum - (1 + root) * (1 + root));
}

}  // namespace polyak::engine
