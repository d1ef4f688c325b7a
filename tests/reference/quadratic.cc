#include "tests/reference/quadratic.h"

#include <cmath>
#include <complex>
#include <cstddef>

namespace polyak::reference {

std::vector<Record> QuadraticCurve(const Row& eigenvalues, const Row& residual,
                                   const Method& method, int64_t iterations) {
  Points points(method, residual);
  Row gradient(residual.size());
  std::vector<Record> records;
  for (int64_t t = 0; t <= iterations; ++t) {
    long double twice_loss = 0;
    long double squared_norm = 0;
    for (size_t i = 0; i < residual.size(); ++i) {
      const long double c = points.current()[i];
      gradient[i] = eigenvalues[i] * c;
      twice_loss += gradient[i] * c;
      squared_norm += c * c;
    }
    records.push_back({twice_loss / 2, std::sqrt(squared_norm)});
    points.Step(gradient);
  }
  return records;
}

long double ClosedFormFactor(const Method& method, long double z, int64_t iteration) {
  if (method.kind == MethodKind::kGradientDescent) {
    return std::pow(1 - z, static_cast<long double>(iteration));
  }
  // c_{t+1} = sum c_t - product c_{t-1} from c_0 = 1 and c_1 = first.
  const long double beta = method.momentum;
  const bool polyak = method.kind == MethodKind::kPolyak;
  const long double sum = polyak ? 1 + beta - z : (1 + beta) * (1 - z);
  const long double product = polyak ? beta : beta * (1 - z);
  const long double first = polyak ? 1 - z : 1 - (1 + beta) * z;
  using Complex = std::complex<long double>;
  const Complex half_width = std::sqrt(Complex(sum * sum / 4 - product));
  const Complex one = sum / 2 + half_width;
  const Complex two = sum / 2 - half_width;
  const auto t = static_cast<long double>(iteration);
  if (half_width == Complex(0)) {
    // c_t = r^t (1 + t (c_1 / r - 1))
    return std::real(std::pow(one, t)) * (1 + t * (first / std::real(one) - 1));
  }
  const Complex weight = (first - two) / (one - two);
  return std::real(weight * std::pow(one, t) + (Complex(1) - weight) * std::pow(two, t));
}

}  // namespace polyak::reference
