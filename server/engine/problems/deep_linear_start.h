#pragma once

#include <vector>

#include "server/engine/linalg/types.h"
#include "server/engine/problems/deep_linear_network.h"

namespace polyak::engine {

// Where the backward span of an orthogonal start (the rows of W_L) lies against its forward span
// (the image of U), both in the space of layer L - 1: W_L' / sqrt(m) = Q M + Q_perp T, with
// orthonormal Q (m x r), the forward image of U, and Q_perp (m x k'), k' = min(d_y, m - r).
struct RelativeStart {
  Matrix position;    // M (r x d_y)
  Matrix complement;  // T (k' x d_y), T'T = I - M'M
};

// The position that the seed draws for an orthogonal start.   Cost: O((r + d_y)^3), whatever m.
RelativeStart DrawRelativeStart(const DeepLinearNetworkInstance& instance);

// An orthogonal start in full: what the relative one leaves out.
struct LiteralStart {
  std::vector<Matrix> weights;  // W_1 .. W_L
  Matrix forward;               // Q
  Matrix complement;            // Q_perp
  RelativeStart relative;       // M, T
};

// For instance.orthogonal_start only (POLYAK_CHECKed): drawn as InitialDeepLinearWeights draws it,
// or the spans of the given weights.
//   Cost: of drawing the weights; O(L m^2 r) for given ones.
LiteralStart MakeLiteralStart(const DeepLinearNetworkInstance& instance);

}  // namespace polyak::engine
