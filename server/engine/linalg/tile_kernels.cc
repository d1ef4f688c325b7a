#include "server/engine/linalg/tile_kernels.h"

namespace polyak::engine {
namespace {

// Those instructions whose presence ProcessorClass names x86-64-v3, so that its name says whether
// the products are fused.
[[maybe_unused]] bool Fuses() {
#if defined(POLYAK_WIDE_KERNELS)
  return __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("popcnt") != 0 &&
         __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
         __builtin_cpu_supports("bmi2") != 0;
#else
  return false;
#endif
}

}  // namespace

const TileKernels* TileKernelsVersion(int version) {
#if defined(POLYAK_WIDE_KERNELS)
  static const bool fuses = Fuses();
  static const bool wide = fuses && __builtin_cpu_supports("avx512f") != 0;
  if (version == 1) {
    return fuses ? &kTileKernels256 : nullptr;
  }
  if (version == 2) {
    return wide ? &kTileKernels512 : nullptr;
  }
#endif
  return version == 0 ? &kTileKernels128 : nullptr;
}

const TileKernels& WidestTileKernels() {
  int version = 0;
  while (TileKernelsVersion(version + 1) != nullptr) {
    ++version;
  }
  return *TileKernelsVersion(version);
}

}  // namespace polyak::engine
