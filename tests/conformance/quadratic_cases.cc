#include "tests/conformance/quadratic_cases.h"

#include <cmath>
#include <utility>

#include "server/base/check.h"

namespace polyak::conformance {
namespace {

using engine::Matrix;
using engine::Vector;

// Multiples of 1/8 in [-2, 2], without a pattern and without a generator.
int Eighths(int i, int salt) { return ((i + 1) * (37 + 2 * salt) + i * i * 11) % 33 - 16; }

int Sign(int i) { return (i * i + i / 3) % 2 == 0 ? 1 : -1; }

}  // namespace

QuadraticCase DiagonalCase(const engine::GeneratedSpectrumSpec& spectrum, LinearTerm linear_term) {
  QuadraticCase out;
  out.condition_number = spectrum.condition_number;
  const Vector eigenvalues = engine::GenerateSpectrum(spectrum);
  auto start = std::make_shared<Vector>(eigenvalues.size());
  auto b = std::make_shared<Vector>(eigenvalues.size());
  long double squared_norm = 0;
  for (Eigen::Index i = 0; i < eigenvalues.size(); ++i) {
    const int k = static_cast<int>(i);
    (*start)(i) = Eighths(k, 1) / 8.0;
    (*b)(i) = linear_term == LinearTerm::kZero ? 0 : eigenvalues(i) * (Eighths(k, 2) / 8.0);
    const long double h = eigenvalues(i);
    const long double minimiser = (*b)(i) / h;
    squared_norm += minimiser * minimiser;
    out.eigenvalues.push_back(h);
    out.residual.push_back((*start)(i)-minimiser);
  }
  out.minimiser_norm = static_cast<double>(std::sqrt(squared_norm));
  engine::QuadraticSpec spec;
  spec.hessian = spectrum;
  spec.initial_point = std::move(start);
  if (linear_term == LinearTerm::kNonZero) {
    spec.linear_term = std::move(b);
  }
  out.spec = std::move(spec);
  return out;
}

QuadraticCase MatrixCase(engine::SpectrumShape shape, double condition_number,
                         LinearTerm linear_term) {
  constexpr int kSize = kMatrixDimension;
  constexpr int64_t kExact = int64_t{1} << 53;
  QuadraticCase out;
  out.diagonal = false;
  out.condition_number = condition_number;
  const Vector wished = engine::GenerateSpectrum({kSize, condition_number, 1, shape});
  std::vector<int64_t> h(kSize);  // in units of 2^-40
  int64_t sum = 0;
  for (int i = 0; i < kSize; ++i) {
    h[i] = std::llround(std::ldexp(wished(i), 40));
    sum += h[i];
    out.eigenvalues.push_back(std::ldexp(static_cast<long double>(h[i]), -40));
  }
  // H = diag(h) - (2/16) v_i v_j (h_i + h_j) + (2/16)^2 v_i v_j sum h, in units of 2^-46.
  std::vector<std::vector<int64_t>> entries(kSize, std::vector<int64_t>(kSize));
  auto hessian = std::make_shared<Matrix>(kSize, kSize);
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      entries[i][j] = (i == j ? 64 * h[i] : 0) - Sign(i) * Sign(j) * (8 * (h[i] + h[j]) - sum);
      POLYAK_CHECK(std::abs(entries[i][j]) <= kExact);
      (*hessian)(i, j) = std::ldexp(static_cast<double>(entries[i][j]), -46);
    }
  }
  auto start = std::make_shared<Vector>(kSize);
  auto b = std::make_shared<Vector>(kSize);
  std::vector<int64_t> residual(kSize);  // in units of 1/8
  int64_t projection = 0;
  for (int i = 0; i < kSize; ++i) {
    const bool zero = linear_term == LinearTerm::kZero;
    int64_t product = 0;  // in units of 2^-49
    for (int j = 0; j < kSize; ++j) {
      product += zero ? 0 : entries[i][j] * Eighths(j, 2);
    }
    POLYAK_CHECK(std::abs(product) <= kExact);
    (*b)(i) = std::ldexp(static_cast<double>(product), -49);
    (*start)(i) = Eighths(i, 1) / 8.0;
    residual[i] = Eighths(i, 1) - (zero ? 0 : Eighths(i, 2));
    projection += Sign(i) * residual[i];
    out.minimiser_norm = std::hypot(out.minimiser_norm, zero ? 0 : Eighths(i, 2) / 8.0);
  }
  for (int i = 0; i < kSize; ++i) {
    // Q' xi = xi - (2/16) v (v' xi)
    out.residual.push_back(static_cast<long double>(8 * residual[i] - Sign(i) * projection) / 64);
  }
  engine::QuadraticSpec spec;
  spec.hessian = std::move(hessian);
  spec.initial_point = std::move(start);
  if (linear_term == LinearTerm::kNonZero) {
    spec.linear_term = std::move(b);
  }
  out.spec = std::move(spec);
  return out;
}

reference::Method ToReference(const engine::OptimizerSpec& optimizer) {
  const engine::LinearMethod method = engine::LinearForm(optimizer);
  reference::MethodKind kind = reference::MethodKind::kGradientDescent;
  if (std::holds_alternative<engine::PolyakMomentumSpec>(optimizer)) {
    kind = reference::MethodKind::kPolyak;
  } else if (std::holds_alternative<engine::NesterovMomentumSpec>(optimizer)) {
    kind = reference::MethodKind::kNesterov;
  }
  return {kind, method.step_size, method.momentum};
}

std::string Name(engine::SpectrumShape shape) {
  switch (shape) {
    case engine::SpectrumShape::kUniform:
      return "Uniform";
    case engine::SpectrumShape::kLogUniform:
      return "LogUniform";
    case engine::SpectrumShape::kTwoClusters:
      return "TwoClusters";
    case engine::SpectrumShape::kChebyshev:
      return "Chebyshev";
  }
  return "";
}

}  // namespace polyak::conformance
