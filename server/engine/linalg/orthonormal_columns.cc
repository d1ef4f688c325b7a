#include "server/engine/linalg/orthonormal_columns.h"

#include <Eigen/QR>

namespace polyak::engine {

Matrix OrthonormalColumns(const Matrix& normal) {
  const Eigen::HouseholderQR<Matrix> qr(normal);
  Matrix factor = qr.householderQ() * Matrix::Identity(normal.rows(), normal.cols());
  for (Eigen::Index j = 0; j < factor.cols(); ++j) {
    if (qr.matrixQR()(j, j) < 0) {
      factor.col(j) = -factor.col(j);
    }
  }
  return factor;
}

}  // namespace polyak::engine
