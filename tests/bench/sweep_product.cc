#include "tests/bench/sweep_product.h"

#include "tests/support/problems.h"

namespace polyak::bench {

SweepProduct::SweepProduct(Eigen::Index size)
    : kernels_(engine::WidestTileKernels()),
      matrix_(testing_support::NormalEntries(1, size, size)),
      vectors_(testing_support::NormalEntries(2, size, kTogether)),
      products_(size, kTogether) {
  for (int c = 0; c < kTogether; ++c) {
    sources_.push_back(vectors_.col(c).data());
    places_.push_back(products_.col(c).data());
  }
}

}  // namespace polyak::bench
