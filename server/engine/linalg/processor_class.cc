#include "server/engine/linalg/processor_class.h"

#include <Eigen/Core>

#include <string>

#include "absl/strings/str_cat.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

namespace polyak::engine {
namespace {

// The level of the architecture, as the ABI has it: more than what the C library asks for.
std::string Architecture() {
#if defined(__x86_64__)
  const bool v2 = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("popcnt") != 0;
  const bool v3 = v2 && __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                  __builtin_cpu_supports("bmi2") != 0;
  // FMA without the rest of v3, and AMD's FMA4, have versions of their own.
  const bool fma = __builtin_cpu_supports("fma") != 0;
  const bool fma4 = __builtin_cpu_supports("fma4") != 0;
  return absl::StrCat("x86-64",
                      v3   ? "-v3"
                      : v2 ? "-v2"
                           : "",
                      fma && !v3 ? "+fma" : "", fma4 && !v3 ? "+fma4" : "");
#else
  return "another processor";
#endif
}

std::string MathLibrary() {
#if defined(__GLIBC__)
  return absl::StrCat("glibc ", gnu_get_libc_version());
#else
  return "another C library";
#endif
}

}  // namespace

std::string ProcessorClass() {
  // Of the caches, the size of the first decides where the sums of a product are cut, and that of
  // the second how its rows are grouped. The third is only asked whether it is there.
  static const auto& name = *new std::string(
      absl::StrCat(Architecture(), ", ", MathLibrary(), ", caches ", Eigen::l1CacheSize() / 1024,
                   " and ", Eigen::l2CacheSize() / 1024, " KiB"));
  return name;
}

int64_t FloatControl() {
#if defined(__x86_64__)
  constexpr unsigned kFlags = 0x3f;
  return _mm_getcsr() & ~kFlags;
#else
  return 0;
#endif
}

}  // namespace polyak::engine
