#pragma once

#include <cstdint>

namespace polyak::engine {

// What tells one stream of Philox4x32 from another: two words of its counter, and its key.
struct PhiloxStream {
  uint32_t purpose;
  uint32_t index;
  uint64_t key;
};

// Values that the loops below take at a time: counts are multiples of it.
inline constexpr int64_t kNormalLanes = 8;

// Inner loops of many normal numbers, compiled for several widths of registers. Each value comes
// from the same operations in the same order as one by one (RandomStream::Uniform, NormalQuantile),
// none of them fused: the bits do not depend on which version runs.
struct NormalKernels {
  const char* name;

  // out[2 i] and out[2 i + 1]: the uniform numbers of block first_block + i, for so many blocks.
  void (*fill_uniform)(const PhiloxStream& stream, uint64_t first_block, int64_t blocks,
                       double* out);
  // The quantiles where |p - 1/2| <= kCentralHalfWidth; any number elsewhere.
  void (*central_quantiles)(int64_t count, const double* probabilities, double* out);
  // The quantiles of others, with kOutermost <= p <= 1 - kOutermost.
  void (*outer_quantiles)(int64_t count, const double* probabilities, double* out);
};

// Further out there is another ratio of polynomials: seldom enough for NormalQuantile.
inline constexpr double kOutermost = 1.5e-11;

// The widest that this processor has.
const NormalKernels& WidestNormalKernels();
// Every version that this processor has, the narrowest first: version 0, 1, ..; null beyond them.
const NormalKernels* NormalKernelsVersion(int version);

// Not to be used but by way of the functions above: a processor without such registers stops.
extern const NormalKernels kNormalKernels128;
extern const NormalKernels kNormalKernels256;
extern const NormalKernels kNormalKernels512;

}  // namespace polyak::engine
