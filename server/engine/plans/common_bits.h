#pragma once

#include <cstdint>

namespace polyak::engine {

// How many bits are set in both a and b, of `words` words each: of two examples, the neurons that
// are active for both.
int64_t CountCommonBits(const uint64_t* a, const uint64_t* b, int64_t words);

}  // namespace polyak::engine
