#pragma once

#include <vector>

#include "server/engine/optimizers/optimizer.h"

namespace polyak::engine {

// A quadratic with a diagonal Hessian to run optimizers on: its gradient is h_i w_i - b_i.
struct Slope {
  Vector hessian;
  Vector linear_term;
  Vector operator()(const Vector& w) const {
    return hessian.array() * w.array() - linear_term.array();
  }
};

inline Slope SteepSlope() {
  Slope slope;
  slope.hessian.resize(4);
  slope.hessian << 0.001, 0.3, 1.7, 4;
  slope.linear_term.resize(4);
  slope.linear_term << 0.5, -2, 0, 3;
  return slope;
}

inline Vector FarPoint() {
  Vector point(4);
  point << -1.5, 100, 1e-3, 0.7;
  return point;
}

// w_0 .. w_steps, each iterate after the gradient at the one before.
inline std::vector<Vector> IteratesOf(Optimizer& optimizer, const Slope& slope, int steps) {
  std::vector<Vector> iterates = {optimizer.iterate()};
  for (int t = 0; t < steps; ++t) {
    optimizer.Update(slope(optimizer.iterate()));
    iterates.push_back(optimizer.iterate());
  }
  return iterates;
}

}  // namespace polyak::engine
