#pragma once

#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/theory/theory.h"
#include "server/engine/theory/tuning.h"

namespace polyak::engine {

// What theory knows of a problem before the parameters are chosen.
struct ProblemSpectra {
  double smallest_eigenvalue = 0;  // of H, without margins
  double largest_eigenvalue = 0;
  TuningSpectrum tuning;  // with the theorem's margins where it has them
  // Whether `tuning` is what TUNING_THEOREM chooses from: not for ReLU networks under ASYMPTOTIC.
  bool theorem_spectrum = true;
  double loss_floor = 0;
  // ReLU: sqrt(y' H^-1 y), the least movement of the weights (Frobenius) that brings the linearised
  // network's outputs from 0 to the targets; NaN if H is singular.
  double target_movement = std::numeric_limits<double>::quiet_NaN();
  bool singular = false;
};

// What is known once they are.
struct ChosenParameters {
  OptimizerSpec optimizer;  // every parameter set
  LinearMethod method;
  bool theorem_parameters = false;  // equal to what TUNING_THEOREM chooses, to 1e-12
};

// The bound that applies, the assumptions behind it, and what a user should be warned of.
struct BoundChoice {
  BoundSpec bound;
  std::vector<Assumption> assumptions;
  std::vector<std::string> warnings;
};

// One pair of functions a problem class. Analyze: the spectrum of H and what tuning rests on, at
// the cost of the Gram matrix's eigenvalues (O(n^3); one pass over the neurons under ASYMPTOTIC)
// for ReLU networks, O(1) for the others, whose spectra the instance has. Errors: Internal if an
// eigenvalue iteration does not converge, OutOfRange for numbers that are not finite.
// Choose...Bound can't fail: where no theorem applies the bound does not exist, and an assumption
// says why.
absl::StatusOr<ProblemSpectra> AnalyzeQuadratic(const QuadraticInstance& problem, Tuning tuning);
BoundChoice ChooseQuadraticBound(const QuadraticInstance& problem, const ProblemSpectra& spectra,
                                 const ChosenParameters& parameters);

absl::StatusOr<ProblemSpectra> AnalyzeReluNetwork(const ReluNetworkInstance& problem,
                                                  Tuning tuning);
BoundChoice ChooseReluNetworkBound(const ReluNetworkInstance& problem,
                                   const ProblemSpectra& spectra,
                                   const ChosenParameters& parameters);

absl::StatusOr<ProblemSpectra> AnalyzeDeepLinearNetwork(const DeepLinearNetworkInstance& problem,
                                                        Tuning tuning);
BoundChoice ChooseDeepLinearNetworkBound(const DeepLinearNetworkInstance& problem,
                                         const ProblemSpectra& spectra,
                                         const ChosenParameters& parameters);

// The Gram matrix of the infinitely wide ReLU network (n x n): |x_i||x_j| cos (pi - arccos cos) /
// (2 pi).
Matrix InfiniteWidthGram(const Matrix& features);

// h(beta, z) = -(beta - (1 - sqrt z)^2)(beta - (1 + sqrt z)^2) of (T6).
double ComplexRegimeMargin(double momentum, double z);

// Builders shared by the classes.
Assumption CheckedAssumption(std::string name, double required, double actual, bool met,
                             std::string text);
Assumption MethodNotCovered();
Assumption TheoremParametersAssumption(const ChosenParameters& parameters);
// The assumption that a network is as wide as its theorem's order, and the warning if it is not.
//   text: what the order is, as a sentence.
void AddWidthOfTheorem(int64_t width, double required, std::string text, BoundChoice& choice);
// (T8), (T9) for Polyak, (T11) for gradient descent: the bound of a network at its theorem's
// parameters.   polyak_theorem: the tag of the former.
BoundSpec NetworkBound(const ChosenParameters& parameters, const TuningSpectrum& spectrum,
                       std::string polyak_theorem);

}  // namespace polyak::engine
