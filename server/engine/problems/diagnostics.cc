#include "server/engine/problems/diagnostics.h"

#include <algorithm>

#include "server/engine/linalg/symmetric_spectrum.h"
#include "server/engine/linalg/tridiagonal_ends.h"
#include "server/engine/linalg/tridiagonal_form.h"

namespace polyak::engine {

void DescribeEnds(double smallest, double largest, Diagnostics& diagnostics) {
  diagnostics.smallest_eigenvalue = smallest;
  diagnostics.largest_eigenvalue = largest;
  diagnostics.condition_number =
      IsSingular(smallest, largest) ? std::numeric_limits<double>::infinity() : largest / smallest;
}

void DescribeGram(const Matrix& gram, Diagnostics& diagnostics) {
  if (!gram.allFinite()) {
    return;
  }
  const TridiagonalForm form(gram);
  const Vector ends = TridiagonalEnds(form.diagonal(), form.off_diagonal());
  DescribeEnds(std::max(ends(0), 0.0), std::max(ends(1), 0.0), diagnostics);
}

void AddKroneckerProduct(const Matrix& a, const Matrix& b, Matrix& sum) {
  const Eigen::Index rows = b.rows();
  const Eigen::Index cols = b.cols();
  for (Eigen::Index j = 0; j < a.cols(); ++j) {
    for (Eigen::Index i = 0; i < a.rows(); ++i) {
      sum.block(i * rows, j * cols, rows, cols) += a(i, j) * b;
    }
  }
}

}  // namespace polyak::engine
