#include <algorithm>
#include <cmath>
#include <limits>

#include "server/engine/theory/theory.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
// Below this, squares of components underflow and the norm is no longer theirs.
constexpr double kUnderflow = 1e-150;

double QuadraticFloor(const QuadraticInstance& problem, double stacked_norm) {
  const double minimiser = problem.minimiser.norm();
  if (problem.is_diagonal() && minimiser == 0) {
    return kUnderflow;  // v = w: every component keeps its own relative precision
  }
  const double dimension_part = 64 * kEpsilon *
                                std::sqrt(static_cast<double>(problem.dimension())) *
                                (stacked_norm + minimiser);
  const double kappa =
      problem.spectrum.largest() /
      std::max(problem.spectrum.smallest(), kSingularRelative * problem.spectrum.largest());
  return std::max({dimension_part,
                   8 * kEpsilon * kappa * (problem.initial_point.norm() + minimiser), kUnderflow});
}

double NetworkFloor(int64_t examples, double target_norm, double stacked_norm) {
  return std::max(
      64 * kEpsilon * std::sqrt(static_cast<double>(examples)) * (stacked_norm + target_norm),
      kUnderflow);
}

}  // namespace

double RoundingFloor(const ProblemInstance& problem, double initial_residual_norm) {
  const double stacked_norm = std::sqrt(2.0) * initial_residual_norm;
  if (const auto* quadratic = std::get_if<std::shared_ptr<const QuadraticInstance>>(&problem)) {
    return QuadraticFloor(**quadratic, stacked_norm);
  }
  if (const auto* network = std::get_if<std::shared_ptr<const ReluNetworkInstance>>(&problem)) {
    return NetworkFloor((*network)->examples(), (*network)->targets.norm(), stacked_norm);
  }
  const auto& network = std::get<std::shared_ptr<const DeepLinearNetworkInstance>>(problem);
  return NetworkFloor(network->examples(), network->targets.norm(), stacked_norm);
}

}  // namespace polyak::engine
