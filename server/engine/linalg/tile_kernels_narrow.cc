// For any processor of the architecture: rounds each product before it is added.

#include "server/engine/linalg/tile_kernels.h"

namespace polyak::engine {
namespace {
constexpr int kPieceBytes = 16;
constexpr int kProductStrips = 1;
constexpr int kProductColumns = 2;
constexpr int kMoveStrips = 1;
constexpr int kMoveColumns = 2;
constexpr int kTransposedColumns = 1;
constexpr int kTransposedWidth = 2;
constexpr int kVectorGroups = 1;
constexpr int kVectorColumns = 2;
using Register [[gnu::vector_size(kPieceBytes)]] = double;
inline Register Broadcast(double factor) { return Register{factor, factor}; }
inline Register Fused(const Register& x, const Register& y, const Register& sum) {
  return sum + x * y;
}
}  // namespace
}  // namespace polyak::engine

#include "server/engine/linalg/tile_kernels_body.h"

namespace polyak::engine {
const TileKernels kTileKernels128 = TileKernelsCalled("128 bits", false);
}  // namespace polyak::engine
