#include "server/engine/linalg/tridiagonal_ends.h"

#include <algorithm>
#include <cmath>

namespace polyak::engine {
namespace {

// How many eigenvalues are below x: the negative pivots of T - x (Sylvester), each quotient kept
// from 0 by `least`.
class PivotCounter {
 public:
  PivotCounter(const Vector& diagonal, const Vector& off_diagonal)
      : diagonal_(diagonal), squares_(off_diagonal.cwiseAbs2()) {}
  Eigen::Index Below(double x) const {
    constexpr double kLeast = 1e-290;
    Eigen::Index count = 0;
    double pivot = 1;
    for (Eigen::Index i = 0; i < diagonal_.size(); ++i) {
      pivot = diagonal_(i) - x - (i == 0 ? 0 : squares_(i - 1) / pivot);
      // Away from 0, by less than any rounding.
      pivot = std::abs(pivot) < kLeast ? -kLeast : pivot;
      count += pivot < 0 ? 1 : 0;
    }
    return count;
  }

 private:
  const Vector diagonal_;
  const Vector squares_;
};

}  // namespace

Vector TridiagonalEnds(const Vector& diagonal, const Vector& off_diagonal) {
  const Eigen::Index dimension = diagonal.size();
  double bound = 0;  // of all eigenvalues in size, by rows (Gershgorin)
  for (Eigen::Index i = 0; i < dimension; ++i) {
    bound = std::max(bound, std::abs(diagonal(i)) + (i > 0 ? std::abs(off_diagonal(i - 1)) : 0) +
                                (i + 1 < dimension ? std::abs(off_diagonal(i)) : 0));
  }
  if (bound == 0) {
    return Vector::Zero(2);
  }
  // In units of the bound, so that no square leaves the numbers.
  const double unit = std::ldexp(1.0, std::ilogb(bound));
  const PivotCounter counter(diagonal / unit, off_diagonal / unit);
  const auto find = [&](Eigen::Index wanted) {
    double low = -2;
    double high = 2;
    for (;;) {
      const double middle = low + (high - low) / 2;
      // A 10,000th of what rounding leaves of an eigenvalue that is nearly 0.
      if (middle <= low || middle >= high || high - low < 1e-20) {
        return middle;
      }
      (counter.Below(middle) >= wanted ? high : low) = middle;
    }
  };
  Vector ends(2);
  ends << find(1) * unit, find(dimension) * unit;
  return ends;
}

}  // namespace polyak::engine
