#pragma once

#include <cstdint>
#include <vector>

#include "tests/reference/method.h"

namespace polyak::reference {

// f(x) = 1/sqrt(m) sum_r a_r max(0, w_r . x), trained on 1/2 sum_i (f(x_i) - y_i)^2; only the w_r
// move, and the derivative of max(0, z) at z = 0 is 0.
struct ReluNetwork {
  Table features;        // x_i: n rows of d
  Row targets;           // y: n
  Table hidden_weights;  // w_r: m rows of d, at the start
  Row output_weights;    // a: m
};

// Records 0 .. iterations.
std::vector<Record> TrainReluNetwork(const ReluNetwork& network, const Method& method,
                                     int64_t iterations);

}  // namespace polyak::reference
