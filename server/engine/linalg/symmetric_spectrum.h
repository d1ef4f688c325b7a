#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "server/engine/linalg/types.h"

namespace polyak::engine {

// Spectrum of a symmetric matrix.
struct SymmetricSpectrum {
  Vector eigenvalues;  // ascending: all d of them, or only {smallest, largest} of a large matrix
  // d x d, column i belongs to eigenvalue i; empty for a large matrix.
  std::optional<Matrix> eigenvectors;
  double smallest() const { return eigenvalues(0); }
  double largest() const { return eigenvalues(eigenvalues.size() - 1); }
};

// Largest dimension that gets the full decomposition (about 9 d^3 flops); larger ones get the two
// ends only, from their tridiagonal form (4/3 d^3, and those many times as fast).
inline constexpr Eigen::Index kFullSpectrumDimensionMax = 1500;

// matrix: symmetric, d x d, d >= 1. Only the lower triangle is read.
// Errors: OutOfRange if it is not finite; Internal if the iteration does not converge.
// Cost: O(d^3).
absl::StatusOr<SymmetricSpectrum> ComputeSymmetricSpectrum(const Matrix& matrix);

// Singular is smallest <= 1e-13 largest, indefinite is smallest < -1e-13
// largest.
inline constexpr double kSingularRelative = 1e-13;
bool IsSingular(double smallest, double largest);
bool IsIndefinite(double smallest, double largest);

}  // namespace polyak::engine
