#include <cmath>

#include "absl/strings/str_cat.h"
#include "server/engine/theory/problem_theory.h"

namespace polyak::engine {
namespace {

// |W*|^2 of the least-norm solution: Y V S^{-1} U'.
double SquaredSolutionNorm(const DeepLinearNetworkInstance& problem) {
  const Matrix projected = problem.targets.transpose() * problem.right;
  return (projected * problem.singular_values.cwiseInverse().asDiagonal()).squaredNorm();
}

// The part of the width's order that grows with the targets, d_y |W*|^2 <= m, without its factor of
// kappa^5 / s_max^2. The network starts with |W_L ... W_1| / sqrt(m^{L-1} d_y) of at most
// sqrt(m / d_y): a larger |W*| takes weights that move by as much as they are, and at parameters
// chosen for the start the run may diverge.
void WarnOfLargeTargets(const DeepLinearNetworkInstance& problem, BoundChoice& choice) {
  const double solution = std::sqrt(SquaredSolutionNorm(problem));
  const double reach = std::sqrt(static_cast<double>(problem.width) /
                                 static_cast<double>(problem.output_dimension()));
  if (solution > reach) {
    choice.warnings.push_back(absl::StrCat(
        "the targets are large for the width ", problem.width, ": the map to be learned has norm ",
        solution, ", above sqrt(width / output dimension) = ", reach,
        ", so the weights must move by as much as they are, and the run may diverge at parameters "
        "chosen for its start; accepted without this warning: smaller targets or a larger width"));
  }
}

// kappa^5 / s_max^2 (d_y (1 + |W*|^2) + log(r / delta)), with constant 1 and delta = 0.01: an
// order, not a number.
double WidthOrder(const DeepLinearNetworkInstance& problem, double kappa) {
  const double largest = problem.singular_values(0);
  const auto rank = static_cast<double>(problem.singular_values.size());
  return std::pow(kappa, 5) / (largest * largest) *
         (static_cast<double>(problem.output_dimension()) * (1 + SquaredSolutionNorm(problem)) +
          std::log(rank / 0.01));
}

}  // namespace

absl::StatusOr<ProblemSpectra> AnalyzeDeepLinearNetwork(const DeepLinearNetworkInstance& problem,
                                                        Tuning /*tuning*/) {
  // H_0 = (L / d_y) X'X (x) I: L s_i^2 / d_y for the non-zero singular values.
  const double factor =
      static_cast<double>(problem.depth) / static_cast<double>(problem.output_dimension());
  const double largest = problem.singular_values(0);
  const double smallest = problem.singular_values(problem.singular_values.size() - 1);
  ProblemSpectra spectra;
  spectra.smallest_eigenvalue = factor * smallest * smallest;
  spectra.largest_eigenvalue = factor * largest * largest;
  spectra.tuning = {spectra.smallest_eigenvalue, spectra.largest_eigenvalue};  // (T5)
  spectra.loss_floor = problem.loss_floor;
  return spectra;
}

BoundChoice ChooseDeepLinearNetworkBound(const DeepLinearNetworkInstance& problem,
                                         const ProblemSpectra& spectra,
                                         const ChosenParameters& parameters) {
  BoundChoice choice;
  const double none = std::nan("");
  choice.assumptions.push_back(
      CheckedAssumption("orthogonal_start", none, none, problem.orthogonal_start,
                        "The weights start as scaled orthogonal matrices."));
  AddWidthOfTheorem(problem.width, WidthOrder(problem, spectra.tuning.condition_number()),
                    "The width is at least kappa^5 / s_max^2 (d_y (1 + |W*|^2) + log(r / 0.01)), "
                    "the theorem's order with constant 1; hidden constants make it an order, not a "
                    "threshold.",
                    choice);
  WarnOfLargeTargets(problem, choice);
  if (std::holds_alternative<NesterovMomentumSpec>(parameters.optimizer)) {
    choice.assumptions.push_back(MethodNotCovered());
    return choice;
  }
  choice.assumptions.push_back(TheoremParametersAssumption(parameters));
  if (parameters.theorem_parameters && problem.orthogonal_start) {
    choice.bound = NetworkBound(parameters, spectra.tuning, "T9");
  }
  return choice;
}

}  // namespace polyak::engine
