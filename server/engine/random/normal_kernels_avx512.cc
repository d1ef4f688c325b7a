// Compiled for processors with AVX-512 alone (server/CMakeLists.txt): called where there is one.

#include "server/engine/random/normal_kernels.h"

#if defined(__AVX512F__)

#include <immintrin.h>

namespace polyak::engine {
namespace {
constexpr int kPieceBytes = 64;
using Reals [[gnu::vector_size(kPieceBytes)]] = double;
using Words [[gnu::vector_size(kPieceBytes)]] = uint64_t;
inline Words MultiplyLow(Words a, Words b) {
  return reinterpret_cast<Words>(
      _mm512_mul_epu32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
}
inline Reals SquareRoot(Reals x) { return _mm512_sqrt_pd(x); }
}  // namespace
}  // namespace polyak::engine

#include "server/engine/random/normal_kernels_body.h"

namespace polyak::engine {
const NormalKernels kNormalKernels512 = NormalKernelsCalled("512 bits");
}  // namespace polyak::engine
#endif
