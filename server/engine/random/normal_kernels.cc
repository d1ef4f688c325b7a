#include "server/engine/random/normal_kernels.h"

#include <array>
#include <cstddef>

namespace polyak::engine {
namespace {

struct Versions {
  std::array<const NormalKernels*, 3> kernels = {};
  int count = 0;
};

Versions FindVersions() {
  Versions versions;
  versions.kernels[static_cast<size_t>(versions.count++)] = &kNormalKernels128;
#if defined(POLYAK_WIDE_KERNELS)
  if (__builtin_cpu_supports("avx2") != 0) {
    versions.kernels[static_cast<size_t>(versions.count++)] = &kNormalKernels256;
    if (__builtin_cpu_supports("avx512f") != 0) {
      versions.kernels[static_cast<size_t>(versions.count++)] = &kNormalKernels512;
    }
  }
#endif
  return versions;
}

}  // namespace

const NormalKernels* NormalKernelsVersion(int version) {
  static const Versions versions = FindVersions();
  return version < versions.count ? versions.kernels[static_cast<size_t>(version)] : nullptr;
}

const NormalKernels& WidestNormalKernels() {
  int version = 0;
  while (NormalKernelsVersion(version + 1) != nullptr) {
    ++version;
  }
  return *NormalKernelsVersion(version);
}

}  // namespace polyak::engine
