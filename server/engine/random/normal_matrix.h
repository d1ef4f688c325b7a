#pragma once

#include <cstdint>

#include "server/engine/linalg/types.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {

// rows x cols standard normals, entry (i, j) at position i cols + j of the stream: the first rows
// are the same whatever the number of rows.  Cost: O(rows cols).
Matrix NormalMatrixByRows(const RandomStream& stream, int64_t rows, int64_t cols);

// The same by columns: entry (i, j) at position i + j rows.
Matrix NormalMatrixByColumns(const RandomStream& stream, int64_t rows, int64_t cols);

}  // namespace polyak::engine
