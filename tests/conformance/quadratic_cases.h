#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/engine/optimizers/optimizer.h"
#include "server/engine/problems/registry.h"
#include "tests/reference/method.h"

namespace polyak::conformance {

// A quadratic as the engine gets it, and as the reference does: by its eigenvalues, which the
// engine's H has exactly, and the residual's coordinates at the start in their eigenvectors.
struct QuadraticCase {
  engine::ProblemSpec spec;
  reference::Row eigenvalues;
  reference::Row residual;
  double minimiser_norm = 0;  // |w*|
  double condition_number = 1;
  bool diagonal = true;
};

enum class LinearTerm { kZero, kNonZero };

// H = diag(h) with h of a generated spectrum; b = 0, or the b of a minimiser of the order of 1.
QuadraticCase DiagonalCase(const engine::GeneratedSpectrumSpec& spectrum, LinearTerm linear_term);

// H = Q diag(h) Q' with Q = I - (2/16) v v', v of 16 signs. h is rounded to multiples of 2^-40
// (smoothness 1), so that each entry of H is a multiple of 2^-46 below 1 in size: H is exactly
// representable and has exactly these eigenvalues. w_0 and w* are multiples of 1/8, so that b = H
// w* is exact as well.
inline constexpr int kMatrixDimension = 16;
QuadraticCase MatrixCase(engine::SpectrumShape shape, double condition_number,
                         LinearTerm linear_term);

// A fully set spec, for the reference.
reference::Method ToReference(const engine::OptimizerSpec& optimizer);

std::string Name(engine::SpectrumShape shape);

}  // namespace polyak::conformance
