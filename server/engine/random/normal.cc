#include "server/engine/random/normal.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace polyak::engine {
namespace {

// Numerator and denominator polynomials of one region, ascending powers.
struct Ratio {
  double numerator[8];
  double denominator[8];
};

constexpr Ratio kCentral = {
    {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
     1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
     3.3430575583588128105e+4, 2.5090809287301226727e+3},
    {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
     2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
     5.2264952788528545610e+3}};
constexpr Ratio kMiddle = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9}};
constexpr Ratio kTail = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15}};

double Evaluate(const Ratio& ratio, double x) {
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
  if (mantissa > 1.4142135623730951) {
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
  // ln 2 in two parts; the first has 21 zero bits at its end, so that exponent times it is exact.
  constexpr double kLog2High = 6.93147180369123816490e-01;
  constexpr double kLog2Low = 1.90821492927058770002e-10;
  const auto e = static_cast<double>(exponent);
  return e * kLog2High + (e * kLog2Low + log_mantissa);
}

double NormalQuantile(double probability) {
  const double q = probability - 0.5;
  if (q >= -0.425 && q <= 0.425) {
    return q * Evaluate(kCentral, 0.180625 - q * q);
  }
  const double tail = q < 0 ? probability : 1 - probability;
  const double r = std::sqrt(-PortableLog(tail));
  const double x = r <= 5 ? Evaluate(kMiddle, r - 1.6) : Evaluate(kTail, r - 5);
  return q < 0 ? -x : x;
}

}  // namespace polyak::engine
