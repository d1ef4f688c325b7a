#include "server/engine/linalg/lane_kernels.h"

#include <array>
#include <cstddef>

namespace polyak::engine {
namespace {

struct Versions {
  std::array<const LaneKernels*, 3> kernels = {};
  int count = 0;
};

Versions FindVersions() {
  Versions versions;
  versions.kernels[static_cast<size_t>(versions.count++)] = &kKernels128;
#if defined(POLYAK_WIDE_KERNELS)
  if (__builtin_cpu_supports("avx2") != 0) {
    versions.kernels[static_cast<size_t>(versions.count++)] = &kKernels256;
    if (__builtin_cpu_supports("avx512f") != 0) {
      versions.kernels[static_cast<size_t>(versions.count++)] = &kKernels512;
    }
  }
#endif
  return versions;
}

}  // namespace

const LaneKernels* KernelsVersion(int version) {
  static const Versions versions = FindVersions();
  return version < versions.count ? versions.kernels[static_cast<size_t>(version)] : nullptr;
}

const LaneKernels& WidestKernels() {
  int version = 0;
  while (KernelsVersion(version + 1) != nullptr) {
    ++version;
  }
  return *KernelsVersion(version);
}

}  // namespace polyak::engine
