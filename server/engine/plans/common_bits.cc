#include "server/engine/plans/common_bits.h"

namespace polyak::engine {

// The processor's own instruction where it has one; whole numbers, so the same on every one.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("popcnt", "default")))
#endif
int64_t
CountCommonBits(const uint64_t* a, const uint64_t* b, int64_t words) {
  int64_t count = 0;
  for (int64_t k = 0; k < words; ++k) {
    count += __builtin_popcountll(a[k] & b[k]);
  }
  return count;
}

Matrix CommonActivations(const std::vector<uint64_t>& active, int64_t examples, int64_t words) {
  Matrix common(examples, examples);
  for (int64_t j = 0; j < examples; ++j) {
    for (int64_t i = 0; i <= j; ++i) {
      common(i, j) = common(j, i) = static_cast<double>(
          CountCommonBits(active.data() + i * words, active.data() + j * words, words));
    }
  }
  return common;
}

}  // namespace polyak::engine
