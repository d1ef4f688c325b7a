#include "server/engine/theory/spectral_radius.h"

#include <algorithm>
#include <cmath>

namespace polyak::engine {
namespace {

// Largest root, in absolute value, of r^2 - sum r + product with that discriminant, sum^2 - 4
// product. It is given in factors, since the difference of squares would lose the double roots of
// the tuned parameters.
double LargestRoot(double sum, double product, double discriminant) {
  if (discriminant <= 0) {
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
  const double root = std::sqrt(std::max(z, 0.0));
  if (method.gradient_weight == 0) {
    // Polyak: r^2 - (1 + beta - z) r + beta. Complex where (1 - sqrt z)^2 < beta < (1 + sqrt z)^2.
    return LargestRoot(1 + beta - z, beta,
                       (beta - (1 - root) * (1 - root)) * (beta - (1 + root) * (1 + root)));
  }
  // Nesterov: r^2 - (1 + beta)(1 - z) r + beta (1 - z).
  const double part = (1 + beta) * root;
  return LargestRoot((1 + beta) * (1 - z), beta * (1 - z),
                     (1 - z) * (1 - beta - part) * (1 - beta + part));
}

double SpectralRadius(double smallest_eigenvalue, double largest_eigenvalue,
                      const LinearMethod& method) {
  return std::max(SpectralRadius(smallest_eigenvalue, method),
                  SpectralRadius(largest_eigenvalue, method));
}

}  // namespace polyak::engine
