#include "server/engine/random/normal_matrix.h"

#include <span>

namespace polyak::engine {

Matrix NormalMatrixByRows(const RandomStream& stream, int64_t rows, int64_t cols) {
  return NormalMatrixByColumns(stream, cols, rows).transpose();
}

Matrix NormalMatrixByColumns(const RandomStream& stream, int64_t rows, int64_t cols) {
  Matrix matrix(rows, cols);
  stream.FillNormal(0, std::span<double>(matrix.data(), static_cast<size_t>(matrix.size())));
  return matrix;
}

}  // namespace polyak::engine
