#include <cmath>
#include <numbers>

#include "server/engine/problems/quadratic.h"

namespace polyak::engine {

Vector GenerateSpectrum(const GeneratedSpectrumSpec& spec) {
  const double largest = spec.smoothness;
  const double smallest = largest / spec.condition_number;
  const Eigen::Index dimension = spec.dimension;
  Vector eigenvalues(dimension);
  for (Eigen::Index i = 0; i < dimension; ++i) {
    const double share =
        dimension == 1 ? 1 : static_cast<double>(i) / static_cast<double>(dimension - 1);
    switch (spec.shape) {
      case SpectrumShape::kUniform:
        eigenvalues(i) = smallest + (largest - smallest) * share;
        break;
      case SpectrumShape::kLogUniform:
        eigenvalues(i) = smallest * std::pow(spec.condition_number, share);
        break;
      case SpectrumShape::kTwoClusters:
        eigenvalues(i) = i < dimension / 2 ? smallest : largest;
        break;
      case SpectrumShape::kChebyshev:
        eigenvalues(i) = (largest + smallest) / 2 -
                         (largest - smallest) / 2 * std::cos(std::numbers::pi * share);
        break;
    }
  }
  // The ends are exact, whatever the formula rounds to.
  if (dimension > 1) {
    eigenvalues(0) = smallest;
  }
  eigenvalues(dimension - 1) = largest;
  return eigenvalues;
}

}  // namespace polyak::engine
