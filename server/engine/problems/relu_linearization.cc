#include <algorithm>
#include <cmath>

#include "server/engine/problems/relu_network.h"

namespace polyak::engine {

ReluLinearization LinearizeReluNetwork(const ReluNetworkInstance& instance) {
  // Blocks of a fixed size, summed in their order: the same bits whatever the machine.
  constexpr int64_t kBlockRows = 1024;
  const int64_t examples = instance.examples();
  const double root_width = std::sqrt(static_cast<double>(instance.width));
  Matrix counts =
      Matrix::Zero(examples, examples);  // sum_r 1[z_ri > 0] 1[z_rj > 0], exact whole numbers
  Vector output = Vector::Zero(examples);
  for (int64_t first = 0; first < instance.width; first += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, instance.width - first);
    Matrix weights(rows, instance.input_dimension());
    FillInitialHiddenWeights(instance, first, weights);
    Matrix block = weights * instance.features.transpose();
    Vector scaled_output(rows);
    for (int64_t r = 0; r < rows; ++r) {
      scaled_output(r) = OutputWeight(instance, first + r) / root_width;
    }
    output.noalias() += block.cwiseMax(0.0).transpose() * scaled_output;
    block = (block.array() > 0).cast<double>();
    counts.noalias() += block.transpose() * block;
  }
  ReluLinearization start;
  const Matrix inner = instance.features * instance.features.transpose();
  start.gram = inner.cwiseProduct(counts) / static_cast<double>(instance.width);
  start.initial_residual = output - instance.targets;
  return start;
}

}  // namespace polyak::engine
