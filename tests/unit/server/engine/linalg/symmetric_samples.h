#pragma once

#include <cmath>
#include <limits>

#include "server/engine/linalg/types.h"

namespace polyak::engine {

// Deterministic numbers in [-1, 1] without a pattern.
inline Vector IrregularVector(Eigen::Index size, double phase) {
  Vector vector(size);
  for (Eigen::Index i = 0; i < size; ++i) {
    const auto k = static_cast<double>(i);
    vector(i) = std::sin(12.9898 * k * k + 78.233 * k + phase);
  }
  return vector;
}

inline Matrix IrregularSymmetric(Eigen::Index size) {
  const Vector values = IrregularVector(size * size, 0.5);
  const Matrix square = Eigen::Map<const Matrix>(values.data(), size, size);
  return 0.5 * (square + square.transpose());
}

// Of a backward stable reduction, by the limit of LAPACK's own test programs.
inline double ReductionRounding(Eigen::Index dimension, double norm) {
  return 30 * static_cast<double>(dimension) * std::numeric_limits<double>::epsilon() * norm;
}

}  // namespace polyak::engine
