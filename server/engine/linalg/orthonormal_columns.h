#pragma once

#include "server/engine/linalg/types.h"

namespace polyak::engine {

// Q (rows x cols) of normal = Q R with a positive diagonal of R; rows >= cols. Of a matrix of
// independent standard normals it is uniform (Haar): Mezzadri, "How to generate random matrices
// from the classical compact groups", Notices of the AMS 54 (2007).
// Cost: 4 rows cols^2 flops.
Matrix OrthonormalColumns(const Matrix& normal);

}  // namespace polyak::engine
