#include "server/engine/linalg/tridiagonal_eigen_coordinates.h"

#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace polyak::engine {
namespace {

constexpr int kSweepsMax = 60;  // for one eigenvalue; two are usual

// One implicit QL sweep on rows first .. last.
void Sweep(Eigen::Index first, Eigen::Index last, Vector& d, Vector& e, Vector& x) {
  // Wilkinson's shift: the eigenvalue of the leading 2 x 2 block that is nearer to its first entry.
  const double half = (d(first + 1) - d(first)) / (2 * e(first));
  const double root = std::hypot(half, 1.0);
  double g = d(last) - d(first) + e(first) / (half + std::copysign(root, half));
  double sine = 1;
  double cosine = 1;
  double carried = 0;
  for (Eigen::Index i = last - 1; i >= first; --i) {
    const double f = sine * e(i);
    const double b = cosine * e(i);
    const double length = std::hypot(f, g);
    e(i + 1) = length;
    if (length == 0) {
      // The matrix splits here: what was carried ends.
      d(i + 1) -= carried;
      e(last) = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    const double shifted = d(i + 1) - carried;
    const double product = (d(i) - shifted) * sine + 2 * cosine * b;
    carried = sine * product;
    d(i + 1) = shifted + carried;
    g = cosine * product - b;
    const double upper = x(i + 1);
    x(i + 1) = sine * x(i) + cosine * upper;
    x(i) = cosine * x(i) - sine * upper;
  }
  d(first) -= carried;
  e(first) = g;
  e(last) = 0;
}

}  // namespace

absl::StatusOr<EigenCoordinates> TridiagonalEigenCoordinates(const Vector& diagonal,
                                                             const Vector& off_diagonal,
                                                             const Vector& x) {
  const Eigen::Index dimension = diagonal.size();
  EigenCoordinates result = {diagonal, x};
  Vector& d = result.eigenvalues;
  Vector e = Vector::Zero(dimension);  // the last place is the sweep's own
  e.head(dimension - 1) = off_diagonal;
  const auto negligible = [&](Eigen::Index i) {
    return std::abs(e(i)) <=
           std::numeric_limits<double>::epsilon() * (std::abs(d(i)) + std::abs(d(i + 1)));
  };
  for (Eigen::Index first = 0; first < dimension; ++first) {
    for (int sweep = 0;; ++sweep) {
      Eigen::Index last = first;
      while (last + 1 < dimension && !negligible(last)) {
        ++last;
      }
      if (last == first) {
        break;
      }
      if (sweep == kSweepsMax) {
        return absl::InternalError(absl::StrCat("the QL iteration of a tridiagonal ", dimension,
                                                " x ", dimension, " matrix did not converge"));
      }
      Sweep(first, last, d, e, result.coordinates);
    }
  }
  return result;
}

}  // namespace polyak::engine
