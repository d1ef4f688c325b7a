// Compiled for processors with AVX2 alone (server/CMakeLists.txt): called where there is one.

#include "server/engine/linalg/lane_kernels.h"

#if defined(__AVX2__)

namespace polyak::engine {
namespace {
constexpr int kPieceBytes = 32;
constexpr int kRows = 6;
constexpr int kGroups = 1;
constexpr int kStrips = 1;
constexpr int kColumns = 6;
}  // namespace
}  // namespace polyak::engine

#include "server/engine/linalg/lane_kernels_body.h"

namespace polyak::engine {
const LaneKernels kKernels256 = KernelsCalled("256 bits");
}  // namespace polyak::engine
#endif
