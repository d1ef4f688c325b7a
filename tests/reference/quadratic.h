#pragma once

#include <cstdint>
#include <vector>

#include "tests/reference/method.h"

namespace polyak::reference {

// The exact curve of a quadratic, records 0 .. iterations, in the basis of its eigenvectors, where
// each coordinate c of the residual w - w* goes its own way: g = h c, loss 1/2 sum h c^2, norm
// sqrt(sum c^2).
//   eigenvalues: h.   residual: c at the start, one for each eigenvalue.
std::vector<Record> QuadraticCurve(const Row& eigenvalues, const Row& residual,
                                   const Method& method, int64_t iterations);

// The factor c_t / c_0 of one coordinate in closed form, from the two roots of its characteristic
// polynomial (complex, real or double), without any recursion. For step size times eigenvalue = z.
long double ClosedFormFactor(const Method& method, long double z, int64_t iteration);

}  // namespace polyak::reference
