// Included by one source a width of registers, which defines
//   kPieceBytes                            the width
//   MultiplyLow(a, b)                      products of the lower halves of 64-bit lanes
//   SquareRoot(x)
// No header of the standard library may be included here: an inline function of it compiled for
// wide registers could end up in the whole program. What these functions are: normal_kernels.h.

#pragma once

#include "server/engine/random/normal_coefficients.h"
#include "server/engine/random/normal_kernels.h"
#include "server/engine/random/philox_constants.h"

// Each source that includes this must have code of its own, for its own registers.
// NOLINTBEGIN(google-build-namespaces,misc-definitions-in-headers)
namespace polyak::engine {
namespace {

using LooseReals [[gnu::vector_size(kPieceBytes), gnu::aligned(8), gnu::may_alias]] = double;
constexpr int kPieceLanes = kPieceBytes / 8;
constexpr double kTwoTo52 = 0x1p52;
constexpr uint64_t kBitsOfTwoTo52 = 0x4330000000000000;

inline Reals Load(const double* values) { return *reinterpret_cast<const LooseReals*>(values); }
inline void Store(Reals x, double* values) { *reinterpret_cast<LooseReals*>(values) = x; }
inline Reals AsReals(Words bits) { return reinterpret_cast<Reals>(bits); }
inline Words AsWords(Reals x) { return reinterpret_cast<Words>(x); }
// Of whole numbers below 2^52, exactly.
inline Reals ToReals(Words numbers) { return AsReals(numbers | kBitsOfTwoTo52) - kTwoTo52; }

inline Reals Evaluate(const NormalRatio& ratio, Reals x) {
  Reals numerator = Reals{} + ratio.numerator[7];
  Reals denominator = Reals{} + ratio.denominator[7];
  for (int k = 6; k >= 0; --k) {
    numerator = numerator * x + ratio.numerator[k];
    denominator = denominator * x + ratio.denominator[k];
  }
  return numerator / denominator;
}

// PortableLog, lane by lane.
inline Reals LogOf(Reals x) {
  const Words bits = AsWords(x);
  Reals exponent = ToReals(bits >> 52) - 1023.0;
  Reals mantissa = AsReals((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000);
  const auto above = mantissa > kSquareRootOf2;
  mantissa = above ? mantissa * 0.5 : mantissa;
  exponent = above ? exponent + 1.0 : exponent;
  const Reals s = (mantissa - 1.0) / (mantissa + 1.0);
  const Reals s2 = s * s;
  Reals series = Reals{} + 1.0 / 23;
  for (int k = 21; k >= 3; k -= 2) {
    series = series * s2 + 1.0 / k;
  }
  const Reals log_mantissa = 2.0 * s + 2.0 * s * s2 * series;
  return exponent * kLog2High + (exponent * kLog2Low + log_mantissa);
}

inline void FillUniform(const PhiloxStream& stream, uint64_t first_block, int64_t blocks,
                        double* out) {
  Words lane;
  for (int l = 0; l < kPieceLanes; ++l) {
    lane[l] = static_cast<uint64_t>(l);
  }
  constexpr uint64_t kLow = 0xFFFFFFFF;
  for (int64_t done = 0; done < blocks; done += kPieceLanes) {
    const Words block = lane + (first_block + static_cast<uint64_t>(done));
    // What is above the 32 bits of a counter is never read.
    Words counter[4] = {block, block >> 32, Words{} + stream.purpose, Words{} + stream.index};
    auto key0 = static_cast<uint32_t>(stream.key);
    auto key1 = static_cast<uint32_t>(stream.key >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
      const Words product0 = MultiplyLow(Words{} + uint64_t{kPhiloxMultiplier0}, counter[0]);
      const Words product1 = MultiplyLow(Words{} + uint64_t{kPhiloxMultiplier1}, counter[2]);
      counter[0] = (product1 >> 32) ^ counter[1] ^ uint64_t { key0 };
      counter[1] = product1;
      counter[2] = (product0 >> 32) ^ counter[3] ^ uint64_t { key1 };
      counter[3] = product0;
      key0 += kPhiloxWeyl0;
      key1 += kPhiloxWeyl1;
    }
    for (int half = 0; half < 2; ++half) {
      const Words bits = (counter[2 * half + 1] << 32) | (counter[2 * half] & kLow);
      const Reals uniform = (ToReals(bits >> 12) + 0.5) * 0x1p-52;
      for (int l = 0; l < kPieceLanes; ++l) {
        out[2 * (done + l) + half] = uniform[l];
      }
    }
  }
}

inline void CentralQuantiles(int64_t count, const double* probabilities, double* out) {
  for (int64_t k = 0; k < count; k += kPieceLanes) {
    const Reals q = Load(probabilities + k) - 0.5;
    Store(q * Evaluate(kCentral, kCentralShift - q * q), out + k);
  }
}

inline void OuterQuantiles(int64_t count, const double* probabilities, double* out) {
  for (int64_t k = 0; k < count; k += kPieceLanes) {
    const Reals p = Load(probabilities + k);
    const auto below = p - 0.5 < 0.0;
    const Reals tail = below ? p : 1.0 - p;
    const Reals x = Evaluate(kMiddle, SquareRoot(-LogOf(tail)) - kMiddleShift);
    Store(below ? -x : x, out + k);
  }
}

constexpr NormalKernels NormalKernelsCalled(const char* name) {
  return {name, FillUniform, CentralQuantiles, OuterQuantiles};
}

}  // namespace
}  // namespace polyak::engine
// NOLINTEND(google-build-namespaces,misc-definitions-in-headers)
