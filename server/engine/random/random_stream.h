#pragma once

#include <cstdint>
#include <span>

namespace polyak::engine {

// Names one random network, data set or starting point.
struct Seed {
  int64_t value = 0;
};

// What is drawn. Each purpose has its own stream, so that one draw never shifts another. Values are
// part of what a seed means: never renumber.
enum class DrawPurpose : uint32_t {
  kInitialPoint = 1,
  kHiddenWeights = 2,
  kOutputWeights = 3,
  kFeatures = 4,
  kSharedFeature = 5,
  kTargets = 6,
  kDeepLinearWeights = 7,
  kDeepLinearPosition = 8,
};

// A stream of random values by position (counter-based: Philox4x32-10 keyed by seed and purpose):
// value i is the same whatever was drawn before, in any order, on any machine. `index` tells apart
// streams of one purpose (a layer's number). Integers are exact everywhere; normals use + - * /
// sqrt and our own polynomials, never the C library's functions.
class RandomStream {
 public:
  RandomStream(Seed seed, DrawPurpose purpose, uint32_t index = 0);

  uint64_t Bits(uint64_t position) const;   // 64 uniform bits
  double Uniform(uint64_t position) const;  // in (0, 1), 52 bits and a half, never 0 or 1
  double Normal(uint64_t position) const;   // standard normal, by inversion of Uniform(position)
  double Sign(uint64_t position) const;     // +1 or -1, each with probability 1/2
  // out[i] = Normal(first + i).  Cost: O(out.size()).
  void FillNormal(uint64_t first, std::span<double> out) const;

 private:
  uint64_t key_;
  uint32_t purpose_;
  uint32_t index_;
};

}  // namespace polyak::engine
