// For any processor of the architecture.

#include "server/engine/linalg/lane_kernels.h"

namespace polyak::engine {
namespace {
constexpr int kPieceBytes = 16;
constexpr int kRows = 2;
constexpr int kGroups = 1;
constexpr int kStrips = 1;
constexpr int kColumns = 3;
}  // namespace
}  // namespace polyak::engine

#include "server/engine/linalg/lane_kernels_body.h"

namespace polyak::engine {
const LaneKernels kKernels128 = KernelsCalled("128 bits");
}  // namespace polyak::engine
