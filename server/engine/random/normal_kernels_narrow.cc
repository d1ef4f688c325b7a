// For any processor of the architecture.

#include "server/engine/random/normal_kernels.h"

namespace polyak::engine {
namespace {
constexpr int kPieceBytes = 16;
using Reals [[gnu::vector_size(kPieceBytes)]] = double;
using Words [[gnu::vector_size(kPieceBytes)]] = uint64_t;
inline Words MultiplyLow(Words a, Words b) {
  constexpr uint64_t kLow = 0xFFFFFFFF;
  return (a & kLow) * (b & kLow);
}
inline Reals SquareRoot(Reals x) { return Reals{__builtin_sqrt(x[0]), __builtin_sqrt(x[1])}; }
}  // namespace
}  // namespace polyak::engine

#include "server/engine/random/normal_kernels_body.h"

namespace polyak::engine {
const NormalKernels kNormalKernels128 = NormalKernelsCalled("128 bits");
}  // namespace polyak::engine
