#pragma once

#include <cstdint>

namespace polyak::engine {

// Of Philox4x32 (philox.h): multipliers, what is added to the halves of the key after each round,
// and how many rounds there are.
inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53;
inline constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9;
inline constexpr uint32_t kPhiloxWeyl1 = 0xBB67AE85;
inline constexpr int kPhiloxRounds = 10;

}  // namespace polyak::engine
