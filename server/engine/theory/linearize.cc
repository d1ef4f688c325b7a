#include <cmath>
#include <utility>

#include "server/engine/linalg/tridiagonal_eigen_coordinates.h"
#include "server/engine/theory/theory.h"

namespace polyak::engine {
namespace {

LinearizedStart LinearizeQuadratic(const QuadraticInstance& problem) {
  LinearizedStart start;
  const Vector residual = problem.initial_point - problem.minimiser;
  if (problem.is_diagonal()) {
    start.eigenvalues = std::get<Vector>(problem.hessian);
    start.weights = residual.cwiseAbs();
  } else if (problem.spectrum.eigenvectors.has_value()) {
    start.eigenvalues = problem.spectrum.eigenvalues;
    start.weights = (problem.spectrum.eigenvectors->transpose() * residual).cwiseAbs();
  } else if (problem.tridiagonal != nullptr) {
    const TridiagonalForm& form = *problem.tridiagonal;
    auto coordinates = TridiagonalEigenCoordinates(form.diagonal(), form.off_diagonal(),
                                                   form.Coordinates(residual));
    if (coordinates.ok()) {
      start.eigenvalues = std::move(coordinates->eigenvalues);
      start.weights = coordinates->coordinates.cwiseAbs();
    }
  }
  return start;
}

LinearizedStart LinearizeRelu(const ReluNetworkInstance& problem) {
  const ReluLinearization linearization = LinearizeReluNetwork(problem);
  const auto spectrum = ComputeSymmetricSpectrum(linearization.gram);
  LinearizedStart start;
  if (spectrum.ok() && spectrum->eigenvectors.has_value()) {
    start.eigenvalues = spectrum->eigenvalues;
    start.weights =
        (spectrum->eigenvectors->transpose() * linearization.initial_residual).cwiseAbs();
  }
  return start;
}

LinearizedStart LinearizeDeepLinear(const DeepLinearNetworkInstance& problem) {
  LinearizedStart start;
  if (!problem.orthogonal_start) {
    return start;  // H_0 is X'X (x) I only then
  }
  const double factor =
      static_cast<double>(problem.depth) / static_cast<double>(problem.output_dimension());
  start.eigenvalues = factor * problem.singular_values.cwiseAbs2();
  start.weights = InitialDeepLinearResidual(problem).colwise().norm().transpose();
  return start;
}

}  // namespace

LinearizedStart Linearize(const ProblemInstance& problem) {
  if (const auto* quadratic = std::get_if<std::shared_ptr<const QuadraticInstance>>(&problem)) {
    return LinearizeQuadratic(**quadratic);
  }
  if (const auto* network = std::get_if<std::shared_ptr<const ReluNetworkInstance>>(&problem)) {
    return LinearizeRelu(**network);
  }
  return LinearizeDeepLinear(*std::get<std::shared_ptr<const DeepLinearNetworkInstance>>(problem));
}

}  // namespace polyak::engine
