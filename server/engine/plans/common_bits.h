#pragma once

#include <cstdint>
#include <vector>

#include "server/engine/linalg/types.h"

namespace polyak::engine {

// How many bits are set in both a and b, of `words` words each: of two examples, the neurons that
// are active for both.
int64_t CountCommonBits(const uint64_t* a, const uint64_t* b, int64_t words);

// The same for every two of n examples, n x n.
//   active: n times `words` words, by example.   Cost: words n^2 / 2 bit counts.
Matrix CommonActivations(const std::vector<uint64_t>& active, int64_t examples, int64_t words);

}  // namespace polyak::engine
