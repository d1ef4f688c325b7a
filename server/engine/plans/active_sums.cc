#include "server/engine/plans/active_sums.h"

#include <algorithm>

namespace polyak::engine {

void ActiveSums::Begin(const Vector& values, size_t rows) {
  values_ = &values;
  by_bytes_ = rows >= kRowsThatPay;
  if (!by_bytes_) {
    return;
  }
  const Eigen::Index size = values.size();
  table_.resize(static_cast<size_t>((size + 7) / 8 * kPatterns));
  double* of_byte = table_.data();
  for (Eigen::Index first = 0; first < size; first += 8, of_byte += kPatterns) {
    of_byte[0] = 0;
    for (Eigen::Index k = 0; k < 8; ++k) {
      const double value = first + k < size ? values(first + k) : 0.0;
      const int64_t half = int64_t{1} << k;
      for (int64_t pattern = 0; pattern < half; ++pattern) {
        of_byte[half + pattern] = of_byte[pattern] + value;
      }
    }
  }
}

double ActiveSums::Sum(const std::vector<uint64_t>& words) const {
  double sum = 0;
  if (by_bytes_) {
    const double* of_byte = table_.data();
    const double* const end = of_byte + table_.size();
    for (uint64_t bits : words) {
      for (int k = 0; k < 8 && of_byte != end; ++k, of_byte += kPatterns, bits >>= 8) {
        sum += of_byte[bits & (kPatterns - 1)];
      }
    }
    return sum;
  }
  Eigen::Index first = 0;
  for (uint64_t bits : words) {
    for (; bits != 0; bits &= bits - 1) {
      sum += (*values_)(first + __builtin_ctzll(bits));
    }
    first += 64;
  }
  return sum;
}

}  // namespace polyak::engine
