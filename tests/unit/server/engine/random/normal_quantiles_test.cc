#include "server/engine/random/normal_quantiles.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/random/normal.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {
namespace {

// Every mixture of regions, the outermost among them, which no stream comes to within a test.
TEST(NormalQuantiles, HaveTheBitsOfOneByOneWhereverTheyLie) {
  std::vector<double> edges = {0x1p-53,         1 - 0x1p-53, kOutermost, 1 - kOutermost,
                               std::exp(-25.0), 0.075,       0.925,      0.5};
  const std::vector<double> all = edges;
  for (const double edge : all) {
    edges.push_back(std::nextafter(edge, 0.0));
    edges.push_back(std::nextafter(edge, 1.0));
  }
  const RandomStream random(Seed{2}, DrawPurpose::kTargets);
  uint64_t position = 0;
  for (int version = 0; NormalKernelsVersion(version) != nullptr; ++version) {
    const NormalKernels& kernels = *NormalKernelsVersion(version);
    SCOPED_TRACE(kernels.name);
    for (const int64_t count : {1, 8, 13, 511, 512}) {
      QuantileValues probabilities{};
      for (int64_t k = 0; k < kQuantilesMax; ++k) {
        const double p = random.Uniform(position++);
        probabilities[static_cast<size_t>(k)] =
            k % 3 == 0 ? edges[static_cast<size_t>(k / 3) % edges.size()] : p;
      }
      QuantileValues quantiles{};
      TakeNormalQuantiles(kernels, count, probabilities, quantiles);
      for (int64_t k = 0; k < count; ++k) {
        const double p = probabilities[static_cast<size_t>(k)];
        ASSERT_EQ(std::bit_cast<uint64_t>(quantiles[static_cast<size_t>(k)]),
                  std::bit_cast<uint64_t>(NormalQuantile(p)))
            << p;
      }
    }
  }
}

}  // namespace
}  // namespace polyak::engine
