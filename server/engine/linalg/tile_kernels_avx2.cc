// Compiled for processors with AVX2 and FMA alone (server/CMakeLists.txt): called where there is
// one.

#include "server/engine/linalg/tile_kernels.h"

#if defined(__AVX2__) && defined(__FMA__)

#include <immintrin.h>

namespace polyak::engine {
namespace {
constexpr int kPieceBytes = 32;
constexpr int kProductStrips = 1;
constexpr int kProductColumns = 5;
constexpr int kMoveStrips = 1;
constexpr int kMoveColumns = 4;
constexpr int kTransposedColumns = 1;
constexpr int kTransposedWidth = 5;
constexpr int kVectorGroups = 1;
constexpr int kVectorColumns = 6;
using Register [[gnu::vector_size(kPieceBytes)]] = double;
inline Register Broadcast(double factor) { return _mm256_set1_pd(factor); }
inline Register Fused(const Register& x, const Register& y, const Register& sum) {
  return _mm256_fmadd_pd(x, y, sum);
}
}  // namespace
}  // namespace polyak::engine

#include "server/engine/linalg/tile_kernels_body.h"

namespace polyak::engine {
const TileKernels kTileKernels256 = TileKernelsCalled("256 bits, fused", true);
}  // namespace polyak::engine
#endif
