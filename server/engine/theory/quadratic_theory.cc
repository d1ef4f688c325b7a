#include <algorithm>
#include <cmath>
#include <limits>

#include "server/engine/theory/problem_theory.h"
#include "server/engine/theory/spectral_radius.h"

namespace polyak::engine {
namespace {

constexpr double kMarginLeast = 1e-12;  // of h: below it the two roots count as one

// w - fl(step_size * fl(h w)) rounds three times: by at most (1 + 5 z) eps / 2 of |w|, z <= 2 in a
// run that contracts.
constexpr double kStepRounding = 6 * std::numeric_limits<double>::epsilon();

// (T10), always; it can be an equality, so rounding gets 1e-9 and the floor, and one step's share
// beside the rate.
BoundSpec GradientDescentBound(const ProblemSpectra& spectra, const LinearMethod& method) {
  BoundSpec bound;
  bound.constant = 1;
  bound.rate = SpectralRadius(spectra.smallest_eigenvalue, spectra.largest_eigenvalue, method);
  bound.on_stacked_norm = false;
  bound.slack_factor = 1 + 1e-9;
  bound.rounding = kStepRounding;
  bound.theorem = "T10";
  return bound;
}

}  // namespace

absl::StatusOr<ProblemSpectra> AnalyzeQuadratic(const QuadraticInstance& problem,
                                                Tuning /*tuning*/) {
  ProblemSpectra spectra;
  spectra.smallest_eigenvalue = problem.spectrum.smallest();
  spectra.largest_eigenvalue = problem.spectrum.largest();
  spectra.singular = IsSingular(spectra.smallest_eigenvalue, spectra.largest_eigenvalue);
  spectra.tuning = {spectra.smallest_eigenvalue, spectra.largest_eigenvalue};
  return spectra;
}

BoundChoice ChooseQuadraticBound(const QuadraticInstance& /*problem*/,
                                 const ProblemSpectra& spectra,
                                 const ChosenParameters& parameters) {
  BoundChoice choice;
  choice.assumptions.push_back(
      CheckedAssumption("positive_definite", kSingularRelative,
                        spectra.smallest_eigenvalue / spectra.largest_eigenvalue, !spectra.singular,
                        "The Hessian's smallest eigenvalue is more than 1e-13 of the largest."));
  if (std::holds_alternative<GradientDescentSpec>(parameters.optimizer)) {
    if (!spectra.singular) {
      choice.bound = GradientDescentBound(spectra, parameters.method);
    }
    return choice;
  }
  if (!std::holds_alternative<PolyakMomentumSpec>(parameters.optimizer)) {
    choice.assumptions.push_back(MethodNotCovered());
    return choice;
  }
  const double momentum = parameters.method.momentum;
  const double step_size = parameters.method.step_size;
  const double margin =
      std::min(ComplexRegimeMargin(momentum, step_size * spectra.smallest_eigenvalue),
               ComplexRegimeMargin(momentum, step_size * spectra.largest_eigenvalue));
  // (T7) needs no margin: its own parameters keep about 3 / kappa, which from kappa =
  // 3e12 on is under the least.
  const bool in_regime = margin > kMarginLeast || parameters.theorem_parameters;
  choice.assumptions.push_back(
      CheckedAssumption("momentum_in_complex_regime", kMarginLeast, margin, in_regime,
                        "1 > momentum > max (1 - sqrt(step_size lambda))^2 at both ends of the "
                        "spectrum, so that every "
                        "root is complex; ASYMPTOTIC parameters sit on the edge."));
  if (spectra.singular || !in_regime) {
    return choice;
  }
  if (parameters.theorem_parameters) {
    const double root = std::sqrt(spectra.largest_eigenvalue / spectra.smallest_eigenvalue);
    choice.bound.constant = 4 * root;  // (T7)
    choice.bound.rate = 1 - 1 / (2 * root);
    choice.bound.theorem = "T7";
  } else {
    choice.bound.constant =
        2 * (momentum + 1) /
        std::sqrt(margin);  // (T6); h is concave, so its least value is at an end
    choice.bound.rate = std::sqrt(momentum);
    choice.bound.theorem = "T6";
  }
  return choice;
}

}  // namespace polyak::engine
