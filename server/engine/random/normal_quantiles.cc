#include "server/engine/random/normal_quantiles.h"

#include <algorithm>

#include "server/engine/random/normal.h"
#include "server/engine/random/normal_coefficients.h"

namespace polyak::engine {

void TakeNormalQuantiles(const NormalKernels& kernels, int64_t count,
                         const QuantileValues& probabilities, QuantileValues& quantiles) {
  kernels.central_quantiles(WholeLanes(count), probabilities.data(), quantiles.data());
  // The others, about one in seven, are worked on side by side as well.
  std::array<int64_t, kQuantilesMax> places;
  QuantileValues outer;
  int64_t found = 0;
  for (int64_t k = 0; k < count; ++k) {
    const double p = probabilities[static_cast<size_t>(k)];
    const double q = p - 0.5;
    places[static_cast<size_t>(found)] = k;
    outer[static_cast<size_t>(found)] = p;
    found += static_cast<int64_t>(q < -kCentralHalfWidth || q > kCentralHalfWidth);
  }
  constexpr double kAny = 0.05;
  std::fill(outer.begin() + found, outer.begin() + WholeLanes(found), kAny);
  QuantileValues values;
  kernels.outer_quantiles(WholeLanes(found), outer.data(), values.data());
  for (int64_t k = 0; k < found; ++k) {
    const auto place = static_cast<size_t>(places[static_cast<size_t>(k)]);
    const double p = probabilities[place];
    quantiles[place] =
        p < kOutermost || p > 1 - kOutermost ? NormalQuantile(p) : values[static_cast<size_t>(k)];
  }
}

}  // namespace polyak::engine
