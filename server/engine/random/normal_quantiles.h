#pragma once

#include <array>
#include <cstdint>

#include "server/engine/random/normal_kernels.h"

namespace polyak::engine {

// As many as are worked on together: they stay in the first cache.
inline constexpr int64_t kQuantilesMax = 512;
using QuantileValues = std::array<double, kQuantilesMax>;

// quantiles[k] = NormalQuantile(probabilities[k]) to the bit, for k < count; what is beyond may
// change.
void TakeNormalQuantiles(const NormalKernels& kernels, int64_t count,
                         const QuantileValues& probabilities, QuantileValues& quantiles);

// A count of whole lanes.
inline int64_t WholeLanes(int64_t count) {
  return (count + kNormalLanes - 1) / kNormalLanes * kNormalLanes;
}

}  // namespace polyak::engine
