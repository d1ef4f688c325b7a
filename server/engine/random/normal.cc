#include "server/engine/random/normal.h"

#include <bit>
#include <cmath>
#include <cstdint>

#include "server/engine/random/normal_coefficients.h"

namespace polyak::engine {
namespace {

double Evaluate(const NormalRatio& ratio, double x) {
  double numerator = ratio.numerator[7];
  double denominator = ratio.denominator[7];
  for (int k = 6; k >= 0; --k) {
    numerator = numerator * x + ratio.numerator[k];
    denominator = denominator * x + ratio.denominator[k];
  }
  return numerator / denominator;
}

}  // namespace

double PortableLog(double x) {
  // x = m 2^e with m in [sqrt(1/2), sqrt 2); log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <=
  // 0.1716.
  const auto bits = std::bit_cast<uint64_t>(x);
  auto exponent = static_cast<int64_t>(bits >> 52) - 1023;
  double mantissa = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (mantissa > kSquareRootOf2) {
    mantissa *= 0.5;
    ++exponent;
  }
  const double s = (mantissa - 1) / (mantissa + 1);
  const double s2 = s * s;
  // Series of atanh(s) / s - 1 over s^2; the term after the last is below 2^-58 of the sum.
  double series = 1.0 / 23;
  for (int k = 21; k >= 3; k -= 2) {
    series = series * s2 + 1.0 / k;
  }
  const double log_mantissa = 2 * s + 2 * s * s2 * series;
  const auto e = static_cast<double>(exponent);
  return e * kLog2High + (e * kLog2Low + log_mantissa);
}

double NormalQuantile(double probability) {
  const double q = probability - 0.5;
  if (q >= -kCentralHalfWidth && q <= kCentralHalfWidth) {
    return q * Evaluate(kCentral, kCentralShift - q * q);
  }
  const double tail = q < 0 ? probability : 1 - probability;
  const double r = std::sqrt(-PortableLog(tail));
  const double x = r <= 5 ? Evaluate(kMiddle, r - kMiddleShift) : Evaluate(kTail, r - 5);
  return q < 0 ? -x : x;
}

}  // namespace polyak::engine
