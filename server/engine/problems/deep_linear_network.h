#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/data/dataset.h"
#include "server/engine/linalg/types.h"
#include "server/engine/problems/problem.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {

enum class DeepLinearInitialization { kOrthogonal, kGaussian };

// N(x) = W_L ... W_1 x / sqrt(m^{L-1} d_y); all of W is trained.
struct DeepLinearNetworkSpec {
  DatasetSpec dataset;
  int64_t width = 0;  // m
  int depth = 0;      // L >= 2
  DeepLinearInitialization initialization = DeepLinearInitialization::kOrthogonal;
  // W_1 (m x d_x) .. W_L (d_y x m); null: drawn.
  std::shared_ptr<const std::vector<Matrix>> initial_weights;
};

// Immutable, shared between runs.
struct DeepLinearNetworkInstance {
  Matrix features;  // X': n x d_x, one example per row
  Matrix targets;   // Y': n x d_y
  int64_t width = 0;
  int depth = 0;
  DeepLinearInitialization initialization = DeepLinearInitialization::kOrthogonal;
  std::shared_ptr<const std::vector<Matrix>> initial_weights;
  Seed seed;
  // Thin SVD of the data matrix X (d_x x n), rank r: singular values > 1e-12 of the largest.
  Vector singular_values;         // (r), descending
  Matrix left;                    // U: d_x x r
  Matrix right;                   // V: n x r
  double loss_floor = 0;          // 1/2 |Y (I - V V')|^2, out of reach of any linear network
  bool orthogonal_start = false;  // drawn so, or given weights that are orthogonal to 1e-10
  // Largest entry of W'W / m - I over the given weights' layers; 0 without.
  double orthogonality_error = 0;
  int64_t examples() const { return features.rows(); }
  int64_t input_dimension() const { return features.cols(); }
  int64_t output_dimension() const { return targets.cols(); }
};

// Errors: InvalidArgument if the data matrix is zero.
absl::StatusOr<std::shared_ptr<const DeepLinearNetworkInstance>> MakeDeepLinearNetworkInstance(
    const DeepLinearNetworkSpec& spec, Seed seed);

// W_1 .. W_L at the start, the same network that every plan starts from (docs/random-numbers.md):
// with an orthogonal start the relative position M (r x d_y) of the forward and backward spans is
// drawn first, from a cost that does not depend on m, then the hidden matrices, then W_L' = sqrt(m)
// (Q M + Q_perp (I - M'M)^{1/2}).
std::vector<Matrix> InitialDeepLinearWeights(const DeepLinearNetworkInstance& instance);
// xi_0 = (N(X) - Y) V (d_y x r), the residual in the data's row space, at those weights.
// Cost: O((r + d_y)^3) for a drawn orthogonal start, whatever m; a forward pass otherwise.
Matrix InitialDeepLinearResidual(const DeepLinearNetworkInstance& instance);

// The literal problem; w is W_1 .. W_L, each flattened column-major, one after another. Loss 1/2
// |(N(X) - Y) V V'|^2. Cost of Evaluate: about 6 (L - 2) m^2 n + O(m n (d_x + d_y)) flops.
std::unique_ptr<Problem> MakeDeepLinearNetworkProblem(
    std::shared_ptr<const DeepLinearNetworkInstance> instance);

}  // namespace polyak::engine
