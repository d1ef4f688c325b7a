#pragma once

#include <Eigen/Core>

#include <vector>

#include "server/engine/linalg/tile_kernels.h"
#include "server/engine/linalg/types.h"

namespace polyak::bench {

// The product of one matrix with the vectors of a whole group of a sweep.
class SweepProduct {
 public:
  static constexpr int kTogether = 64;

  explicit SweepProduct(Eigen::Index size);

  // Of the first `count` vectors.
  void Compute(int64_t count) {
    kernels_.matrix_products(matrix_.rows(), matrix_.data(), count, sources_.data(),
                             places_.data());
  }
  // Of the first one, by Eigen.
  void ComputeByEigen() { products_.col(0).noalias() = matrix_ * vectors_.col(0); }

 private:
  const engine::TileKernels& kernels_;
  const engine::Matrix matrix_;   // d x d
  const engine::Matrix vectors_;  // d x kTogether
  engine::Matrix products_;       // likewise
  std::vector<const double*> sources_;
  std::vector<double*> places_;
};

}  // namespace polyak::bench
