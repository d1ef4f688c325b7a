#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/overloaded.h"
#include "server/base/status_macros.h"
#include "server/engine/theory/problem_theory.h"
#include "server/engine/theory/spectral_radius.h"
#include "server/engine/theory/theory.h"

namespace polyak::engine {
namespace {

absl::StatusOr<ProblemSpectra> Analyze(const ProblemInstance& problem, Tuning tuning) {
  return std::visit(
      base::Overloaded{[&](const std::shared_ptr<const QuadraticInstance>& quadratic) {
                         return AnalyzeQuadratic(*quadratic, tuning);
                       },
                       [&](const std::shared_ptr<const ReluNetworkInstance>& network) {
                         return AnalyzeReluNetwork(*network, tuning);
                       },
                       [&](const std::shared_ptr<const DeepLinearNetworkInstance>& network) {
                         return AnalyzeDeepLinearNetwork(*network, tuning);
                       }},
      problem);
}

BoundChoice ChooseBound(const ProblemInstance& problem, const ProblemSpectra& spectra,
                        const ChosenParameters& parameters) {
  return std::visit(
      base::Overloaded{[&](const std::shared_ptr<const QuadraticInstance>& quadratic) {
                         return ChooseQuadraticBound(*quadratic, spectra, parameters);
                       },
                       [&](const std::shared_ptr<const ReluNetworkInstance>& network) {
                         return ChooseReluNetworkBound(*network, spectra, parameters);
                       },
                       [&](const std::shared_ptr<const DeepLinearNetworkInstance>& network) {
                         return ChooseDeepLinearNetworkBound(*network, spectra, parameters);
                       }},
      problem);
}

absl::Status CheckTunable(const ProblemInstance& problem, const ProblemSpectra& spectra,
                          Tuning tuning) {
  if (spectra.singular) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a step size or momentum is not set and must come from theory, but the Hessian or Gram "
        "matrix is singular: its "
        "eigenvalues reach from ",
        spectra.smallest_eigenvalue, " to ", spectra.largest_eigenvalue,
        ", so the condition number is infinite; accepted: every parameter of the method set, or a "
        "smallest eigenvalue "
        "above 1e-13 of the largest (duplicate examples make a Gram matrix singular)"));
  }
  const auto* deep_linear = std::get_if<std::shared_ptr<const DeepLinearNetworkInstance>>(&problem);
  if (deep_linear != nullptr && tuning == Tuning::kAsymptotic &&
      !(*deep_linear)->orthogonal_start) {
    return absl::InvalidArgumentError(
        "TUNING_ASYMPTOTIC needs the spectrum at the start, which is known for an orthogonal start "
        "only; accepted: "
        "INITIALIZATION_ORTHOGONAL, TUNING_THEOREM, or every parameter set");
  }
  return absl::OkStatus();
}

bool NearlyEqual(double a, double b) { return std::abs(a - b) <= 1e-12 * std::abs(b); }

// Whether the method is what TUNING_THEOREM would have chosen, whoever chose it.
bool AreTheoremParameters(const OptimizerSpec& optimizer, const LinearMethod& method,
                          const ProblemSpectra& spectra) {
  if (spectra.singular || !spectra.theorem_spectrum) {
    return false;
  }
  const TunedParameters theorem = TuneParameters(optimizer, spectra.tuning, Tuning::kTheorem);
  return NearlyEqual(method.step_size, theorem.step_size) &&
         NearlyEqual(method.momentum, theorem.momentum);
}

Prediction MakePrediction(const ProblemSpectra& spectra, const LinearMethod& method,
                          const BoundChoice& choice) {
  Prediction prediction;
  prediction.smallest_eigenvalue = spectra.smallest_eigenvalue;
  prediction.largest_eigenvalue = spectra.largest_eigenvalue;
  prediction.loss_floor = spectra.loss_floor;
  if (spectra.singular) {
    prediction.condition_number = std::numeric_limits<double>::infinity();
    prediction.theorem_condition_number = std::numeric_limits<double>::infinity();
    prediction.rate = 1;
  } else {
    prediction.condition_number = spectra.largest_eigenvalue / spectra.smallest_eigenvalue;
    prediction.theorem_condition_number = spectra.tuning.condition_number();
    prediction.rate =
        SpectralRadius(spectra.smallest_eigenvalue, spectra.largest_eigenvalue, method);
  }
  prediction.constant = choice.bound.constant;
  prediction.bound_rate = choice.bound.rate;
  prediction.assumptions = choice.assumptions;
  return prediction;
}

}  // namespace

absl::StatusOr<TheoryResolution> Resolve(const ProblemInstance& problem,
                                         const OptimizerSpec& optimizer, Tuning tuning) {
  POLYAK_ASSIGN_OR_RETURN(const ProblemSpectra spectra, Analyze(problem, tuning));
  TheoryResolution resolution;
  ChosenParameters parameters;
  parameters.optimizer = optimizer;
  if (NeedsTuning(optimizer)) {
    POLYAK_RETURN_IF_ERROR(CheckTunable(problem, spectra, tuning));
    const TunedParameters tuned = TuneParameters(optimizer, spectra.tuning, tuning);
    parameters.optimizer = FillParameters(optimizer, tuned);
  }
  parameters.method = LinearForm(parameters.optimizer);
  parameters.theorem_parameters = AreTheoremParameters(optimizer, parameters.method, spectra);
  BoundChoice choice = ChooseBound(problem, spectra, parameters);
  resolution.optimizer = parameters.optimizer;
  resolution.method = parameters.method;
  resolution.prediction = MakePrediction(spectra, parameters.method, choice);
  resolution.bound = choice.bound;
  resolution.warnings = std::move(choice.warnings);
  if (IsMixed(optimizer)) {
    resolution.warnings.emplace_back(
        "one of step_size and momentum is set and the other chosen by theory as if neither were; "
        "together they may be slower "
        "than either choice alone");
  }
  if (!(resolution.prediction.rate < 1)) {
    resolution.warnings.push_back(
        absl::StrCat("the predicted rate is ", resolution.prediction.rate,
                     ": at 1 the residual does not shrink, above 1 it grows"));
  }
  return resolution;
}

}  // namespace polyak::engine
