#include "server/storage/column_summary.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace polyak::storage {

void AddSummary(const ColumnSummary& next, ColumnSummary& summary) {
  if (next.count == 0) {
    return;
  }
  if (summary.count == 0) {
    summary = next;
    return;
  }
  summary.last = next.last;
  // fmin and fmax take the other one where one is NaN: a range without a finite value.
  summary.min = std::fmin(summary.min, next.min);
  summary.max = std::fmax(summary.max, next.max);
  summary.count += next.count;
  summary.non_finite += next.non_finite;
}

void AddValues(std::span<const double> values, ColumnSummary& summary) {
  if (values.empty()) {
    return;
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double least = kInfinity;
  double largest = -kInfinity;
  int64_t finite = 0;
  for (const double value : values) {
    const bool is_finite = std::fabs(value) < kInfinity;  // false for NaN
    finite += is_finite ? 1 : 0;
    least = std::min(least, is_finite ? value : kInfinity);
    largest = std::max(largest, is_finite ? value : -kInfinity);
  }
  ColumnSummary next;
  next.first = values.front();
  next.last = values.back();
  next.count = static_cast<int64_t>(values.size());
  next.non_finite = next.count - finite;
  if (finite > 0) {
    next.min = least;
    next.max = largest;
  }
  AddSummary(next, summary);
}

}  // namespace polyak::storage
