#pragma once

#include <cstdint>
#include <vector>

#include "server/engine/linalg/types.h"

namespace polyak::engine {

// Sums of the values that a row of bits chooses, for many rows of the same values: by bytes, from a
// table of what each of its 256 patterns gives, once there are rows enough to pay for the table.
class ActiveSums {
 public:
  // Takes the values (n) for so many rows.   Cost: 32 n additions, if they are many.
  void Begin(const Vector& values, size_t rows);
  // words: n bits, those beyond the last 0.   The same for the same values, words and `rows`.
  double Sum(const std::vector<uint64_t>& words) const;

 private:
  static constexpr size_t kRowsThatPay = 64;
  static constexpr int64_t kPatterns = 256;

  const Vector* values_ = nullptr;
  bool by_bytes_ = false;
  std::vector<double> table_;  // (n / 8 rounded up) x 256
};

}  // namespace polyak::engine
