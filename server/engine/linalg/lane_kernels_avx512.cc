// Compiled for processors with AVX-512 alone (server/CMakeLists.txt): called where there is one.

#include "server/engine/linalg/lane_kernels.h"

#if defined(__AVX512F__)

namespace polyak::engine {
namespace {
constexpr int kPieceBytes = 64;
constexpr int kRows = 6;
constexpr int kGroups = 4;
constexpr int kStrips = 3;
constexpr int kColumns = 8;
}  // namespace
}  // namespace polyak::engine

#include "server/engine/linalg/lane_kernels_body.h"

namespace polyak::engine {
const LaneKernels kKernels512 = KernelsCalled("512 bits");
}  // namespace polyak::engine
#endif
