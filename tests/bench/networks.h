#pragma once

#include <cstdint>

#include "server/engine/problems/registry.h"

namespace polyak::bench {

// The networks that several benchmarks measure.

// A ReLU network on independent examples of unit norm.
engine::ReluNetworkSpec ReluOnSphere(int64_t width, int64_t examples, int64_t dimension);
// L = 10, d_x = 20, d_y = 10, n = 50, with an orthogonal start.
engine::DeepLinearNetworkSpec DeepLinear(int64_t width);

// Drawn from seed 1.
engine::ProblemInstance InstanceOf(const engine::ProblemSpec& spec);

}  // namespace polyak::bench
