#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "server/engine/data/dataset.h"
#include "server/engine/linalg/types.h"
#include "server/engine/problems/problem.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {

// f(x) = 1/sqrt(m) sum_r a_r max(0, w_r . x); only W is trained; the derivative at 0 is 0.
struct ReluNetworkSpec {
  DatasetSpec dataset;                                   // one target column
  int64_t width = 0;                                     // m
  std::shared_ptr<const Matrix> initial_hidden_weights;  // m x d; null: seeded standard normal
  std::shared_ptr<const Vector> output_weights;          // (m) of +-1; null: seeded signs
};

// Immutable, shared between runs. Weights are drawn when a run starts, not here.
struct ReluNetworkInstance {
  Matrix features;  // X: n x d
  Vector targets;   // y: (n)
  int64_t width = 0;
  std::shared_ptr<const Matrix> initial_hidden_weights;
  std::shared_ptr<const Vector> output_weights;
  Seed seed;
  int64_t examples() const { return features.rows(); }
  int64_t input_dimension() const { return features.cols(); }
};

// Draws and scales the data; the weights come later, with the run.
// Errors: those of MakeDataset (a zero row under unit norm).  Cost: O(n d).
absl::StatusOr<std::shared_ptr<const ReluNetworkInstance>> MakeReluNetworkInstance(
    const ReluNetworkSpec& spec, Seed seed);

// Rows first .. first + W.rows() of the initial hidden weights, as every plan starts from them:
// entry (r, i) is Normal(r d + i) of stream kHiddenWeights, or the given matrix.  weights: (rows x
// d), resized by the caller.
void FillInitialHiddenWeights(const ReluNetworkInstance& instance, int64_t first, Matrix& weights);
// a (m): sign r of stream kOutputWeights, or the given ones.
Vector OutputWeights(const ReluNetworkInstance& instance);
// a_r, without the vector of all of them.
double OutputWeight(const ReluNetworkInstance& instance, int64_t row);

// The network linearised at its start: H0_ij = x_i.x_j (1/m) sum_r 1[z_ri > 0] 1[z_rj > 0] (n x n),
// xi_0 = f - y (n).
struct ReluLinearization {
  Matrix gram;
  Vector initial_residual;
};
// Streamed over blocks of neurons: memory O(n^2 + block (n + d)).  Cost: 2 m n (d + n) flops.
ReluLinearization LinearizeReluNetwork(const ReluNetworkInstance& instance);

// The literal problem; w is W flattened column-major (m x d). Loss |f - y|^2 / 2.  Cost of
// Evaluate: 4 m n d flops.
std::unique_ptr<Problem> MakeReluNetworkProblem(
    std::shared_ptr<const ReluNetworkInstance> instance);

}  // namespace polyak::engine
