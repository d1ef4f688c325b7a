#include "server/engine/theory/spectral_radius.h"

#include <algorithm>
#include <cmath>

namespace polyak::engine {
namespace {

// Largest root, in absolute value, of r^2 - sum r + product.
double LargestRoot(double sum, double product) {
  const double discriminant = sum * sum - 4 * product;
  if (discriminant < 0) {
    return std::sqrt(product);  // a complex pair
  }
  return (std::abs(sum) + std::sqrt(discriminant)) / 2;
}

}  // namespace

double SpectralRadius(double eigenvalue, const LinearMethod& method) {
  const double z = method.step_size * eigenvalue;
  const double beta = method.momentum;
  if (beta == 0) {
    // Without memory all three methods are gradient descent.
    return std::abs(1 - z);
  }
  if (method.gradient_weight == 0) {
    // Polyak: r^2 - (1 + beta - z) r + beta. Complex where (1 - sqrt z)^2 < beta < (1 + sqrt z)^2;
    // the discriminant in factors, since its difference of squares would lose the double roots of
    // the tuned parameters.
    const double root = std::sqrt(std::max(z, 0.0));
    const double factor = (beta - (1 - root) * (1 - root)) * (beta - (1 + root) * (1 + root));
    if (factor <= 0) {
      return std::sqrt(beta);
    }
    return (std::abs(1 + beta - z) + std::sqrt(factor)) / 2;
  }
  // Nesterov: r^2 - (1 + beta)(1 - z) r + beta (1 - z).
  return LargestRoot((1 + beta) * (1 - z), beta * (1 - z));
}

double SpectralRadius(double smallest_eigenvalue, double largest_eigenvalue,
                      const LinearMethod& method) {
  return std::max(SpectralRadius(smallest_eigenvalue, method),
                  SpectralRadius(largest_eigenvalue, method));
}

}  // namespace polyak::engine
