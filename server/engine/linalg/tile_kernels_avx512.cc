// Compiled for processors with AVX-512 alone (server/CMakeLists.txt): called where there is one.

#include "server/engine/linalg/tile_kernels.h"

#if defined(__AVX512F__)

#include <immintrin.h>

namespace polyak::engine {
namespace {
constexpr int kPieceBytes = 64;
constexpr int kProductStrips = 3;
constexpr int kProductColumns = 8;
constexpr int kMoveStrips = 3;
constexpr int kMoveColumns = 8;
constexpr int kTransposedColumns = 2;
constexpr int kTransposedWidth = 10;
constexpr int kVectorGroups = 3;
constexpr int kVectorColumns = 8;
using Register [[gnu::vector_size(kPieceBytes)]] = double;
inline Register Broadcast(double factor) { return _mm512_set1_pd(factor); }
inline Register Fused(const Register& x, const Register& y, const Register& sum) {
  return _mm512_fmadd_pd(x, y, sum);
}
}  // namespace
}  // namespace polyak::engine

#include "server/engine/linalg/tile_kernels_body.h"

namespace polyak::engine {
const TileKernels kTileKernels512 = TileKernelsCalled("512 bits, fused", true);
}  // namespace polyak::engine
#endif
