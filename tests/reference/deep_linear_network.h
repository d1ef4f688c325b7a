#pragma once

#include <cstdint>
#include <vector>

#include "tests/reference/method.h"

namespace polyak::reference {

// N(x) = W_L ... W_1 x / sqrt(m^{L-1} d_y), trained on 1/2 sum_i |N(x_i) - y_i|^2; every W_l moves.
struct DeepLinearNetwork {
  Table features;              // x_i: n rows of d_x
  Table targets;               // y_i: n rows of d_y
  std::vector<Table> weights;  // W_1 .. W_L at the start
};

struct DeepLinearCurve {
  std::vector<Record> records;  // 0 .. iterations: of N(X) - Y within the row space of X
  long double loss_floor = 0;   // 1/2 |part of Y outside it|^2
};

DeepLinearCurve TrainDeepLinearNetwork(const DeepLinearNetwork& network, const Method& method,
                                       int64_t iterations);

}  // namespace polyak::reference
