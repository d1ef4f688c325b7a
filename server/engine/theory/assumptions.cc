#include <cmath>
#include <limits>
#include <utility>

#include "server/engine/theory/problem_theory.h"

namespace polyak::engine {

Assumption CheckedAssumption(std::string name, double required, double actual, bool met,
                             std::string text) {
  return {std::move(name), required, actual,
          met ? Assumption::Status::kMet : Assumption::Status::kUnmet, std::move(text)};
}

Assumption MethodNotCovered(const LinearMethod& /*method*/) {
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

double ComplexRegimeMargin(double momentum, double z) {
  const double root = std::sqrt(z);
  return -(momentum - (1 - root) * (1 - root)) * (momentum - (1 + root) * (1 + root));
}

}  // namespace polyak::engine
