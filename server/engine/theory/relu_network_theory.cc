#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/engine/theory/problem_theory.h"

namespace polyak::engine {
namespace {

// Unit norm to what scaling leaves.
constexpr double kUnitNormTolerance = 1e-12;

double LargestDeviationFromUnitNorm(const Matrix& features) {
  return (features.rowwise().norm().array() - 1).abs().maxCoeff();
}

// lambda^-4 n^4 kappa_hat^4 log^3(n / delta), with constant 1 and delta = 0.01: an order, not a
// number.
double WidthOrder(const ReluNetworkInstance& problem, const TuningSpectrum& spectrum) {
  const auto examples = static_cast<double>(problem.examples());
  return std::pow(examples / spectrum.smallest, 4) * std::pow(spectrum.condition_number(), 4) *
         std::pow(std::log(examples / 0.01), 3);
}

std::vector<Assumption> NetworkAssumptions(const ReluNetworkInstance& problem,
                                           const ProblemSpectra& spectra) {
  std::vector<Assumption> assumptions;
  const double deviation = LargestDeviationFromUnitNorm(problem.features);
  assumptions.push_back(CheckedAssumption("unit_norm_examples", kUnitNormTolerance, deviation,
                                          deviation <= kUnitNormTolerance,
                                          "Every example has Euclidean norm 1, to 1e-12."));
  assumptions.push_back(CheckedAssumption(
      "gram_matrix_positive_definite", kSingularRelative,
      spectra.smallest_eigenvalue / spectra.largest_eigenvalue, !spectra.singular,
      "No two examples are parallel, so the infinite-width Gram matrix is positive definite."));
  const double none = std::nan("");
  assumptions.push_back(
      CheckedAssumption("gaussian_start", none, none, problem.initial_hidden_weights == nullptr,
                        "The hidden weights start as independent standard normals."));
  return assumptions;
}

}  // namespace

Matrix InfiniteWidthGram(const Matrix& features) {
  const Matrix inner = features * features.transpose();
  const Vector norms = inner.diagonal().cwiseSqrt();
  Matrix gram(inner.rows(), inner.cols());
  for (Eigen::Index j = 0; j < inner.cols(); ++j) {
    for (Eigen::Index i = 0; i < inner.rows(); ++i) {
      // A zero row, which has no angle, has a zero inner product that any cosine leaves.
      const double scale = norms(i) * norms(j);
      const double cosine =
          i == j ? 1.0 : (scale > 0 ? std::clamp(inner(i, j) / scale, -1.0, 1.0) : 0.0);
      gram(i, j) = inner(i, j) * (std::numbers::pi - std::acos(cosine)) / (2 * std::numbers::pi);
    }
  }
  return gram;
}

absl::StatusOr<ProblemSpectra> AnalyzeReluNetwork(const ReluNetworkInstance& problem,
                                                  Tuning tuning) {
  const Matrix gram = tuning == Tuning::kTheorem ? InfiniteWidthGram(problem.features)
                                                 : LinearizeReluNetwork(problem).gram;
  POLYAK_ASSIGN_OR_RETURN(const SymmetricSpectrum spectrum, ComputeSymmetricSpectrum(gram));
  ProblemSpectra spectra;
  spectra.smallest_eigenvalue = spectrum.smallest();
  spectra.largest_eigenvalue = spectrum.largest();
  spectra.singular = IsSingular(spectra.smallest_eigenvalue, spectra.largest_eigenvalue);
  if (!spectra.singular) {
    const Vector solution = Eigen::LDLT<Matrix>(gram).solve(problem.targets);
    spectra.target_movement = std::sqrt(problem.targets.dot(solution));
  }
  if (tuning == Tuning::kTheorem) {
    spectra.tuning = {0.75 * spectra.smallest_eigenvalue,
                      spectra.largest_eigenvalue + 0.25 * spectra.smallest_eigenvalue};  // (T4)
  } else {
    spectra.tuning = {spectra.smallest_eigenvalue, spectra.largest_eigenvalue};
    spectra.theorem_spectrum = false;  // of the finite network, without margins
  }
  return spectra;
}

namespace {

void WarnOfLargeTargets(const ReluNetworkInstance& problem, const ProblemSpectra& spectra,
                        BoundChoice& choice) {
  // Movement of sqrt(m) in all is 1 a neuron, the size of its start's value at a unit example.
  const double start = std::sqrt(static_cast<double>(problem.width));
  if (spectra.target_movement > start) {
    choice.warnings.push_back(absl::StrCat(
        "the targets are large for the width ", problem.width, ": the weights must move by about ",
        spectra.target_movement, " to reach them, and a movement of ", start,
        " is as much as the neurons' own size; prediction and bound are for small movements, so "
        "expect another rate than the predicted one; accepted without this warning: smaller "
        "targets or a larger width"));
  }
}

}  // namespace

BoundChoice ChooseReluNetworkBound(const ReluNetworkInstance& problem,
                                   const ProblemSpectra& spectra,
                                   const ChosenParameters& parameters) {
  BoundChoice choice;
  choice.assumptions = NetworkAssumptions(problem, spectra);
  if (!spectra.singular) {
    AddWidthOfTheorem(problem.width, WidthOrder(problem, spectra.tuning),
                      "The width is at least lambda^-4 n^4 kappa_hat^4 log^3(n / 0.01), the "
                      "theorem's order with constant 1; hidden constants make it an order, not a "
                      "threshold.",
                      choice);
  }
  WarnOfLargeTargets(problem, spectra, choice);
  if (std::holds_alternative<NesterovMomentumSpec>(parameters.optimizer)) {
    choice.assumptions.push_back(MethodNotCovered());
    return choice;
  }
  choice.assumptions.push_back(TheoremParametersAssumption(parameters));
  if (!spectra.singular && parameters.theorem_parameters) {
    choice.bound = NetworkBound(parameters, spectra.tuning, "T8");
  }
  return choice;
}

}  // namespace polyak::engine
