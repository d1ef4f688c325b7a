#include "tests/bench/machine_limits.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "benchmark/benchmark.h"
#include "server/base/double_buffer.h"
#include "server/base/parallel.h"

// The widest registers that the processor has, chosen as the program starts.
#if defined(__x86_64__) && defined(__GNUC__)
#define POLYAK_WIDEST [[gnu::target_clones("avx512f", "arch=haswell", "default")]]
#else
#define POLYAK_WIDEST
#endif

namespace polyak::bench {
namespace {

constexpr size_t kDoubles = 8;  // of a register of 512 bits
using Lanes [[gnu::vector_size(kDoubles * 8)]] = double;
using Four [[gnu::vector_size(32)]] = double;
using Two [[gnu::vector_size(16)]] = double;
using Clock = std::chrono::steady_clock;

double Seconds(const std::function<void(int)>& work, int threads) {
  const auto begin = Clock::now();
  base::RunParts(threads, work);
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// As large as the matrices that are measured: the last cache of a host may hold both or neither.
constexpr size_t kArrayDoubles = size_t{1} << 24;  // 128 MiB

struct Arrays {
  base::DoubleBuffer x;
  base::DoubleBuffer y;
};

// Made, and so met in memory, once.
Arrays& ArraysOf(int part) {
  static auto& arrays = *new std::array<Arrays, 64>();
  Arrays& mine = arrays.at(static_cast<size_t>(part));
  if (mine.x == nullptr) {
    mine.x = base::AllocateDoubles(kArrayDoubles);
    mine.y = base::AllocateDoubles(kArrayDoubles);
    std::fill_n(mine.x.get(), kArrayDoubles, 1.0);
    std::fill_n(mine.y.get(), kArrayDoubles, 1e-9);
  }
  return mine;
}

// Reads `streams` parts of the values side by side.
POLYAK_WIDEST double SumOf(const double* values, size_t count, size_t streams) {
  constexpr size_t kStep = 4;  // registers of each stream in turn
  const size_t part = count / streams;
  Lanes sums[kStep] = {};
  for (size_t i = 0; i < part; i += kStep * kDoubles) {
    for (size_t stream = 0; stream < streams; ++stream) {
      for (size_t s = 0; s < kStep; ++s) {
        Lanes lanes;
        __builtin_memcpy(&lanes, values + stream * part + i + s * kDoubles, sizeof(lanes));
        sums[s] += lanes;
      }
    }
  }
  double total = 0;
  for (const Lanes& sum : sums) {
    for (size_t k = 0; k < kDoubles; ++k) {
      total += sum[k];
    }
  }
  return total;
}

double ReadSeconds(int threads, size_t streams) {
  return Seconds(
      [streams](int part) {
        benchmark::DoNotOptimize(SumOf(ArraysOf(part).x.get(), kArrayDoubles, streams));
      },
      threads);
}

POLYAK_WIDEST void Move(double* x, double* y, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    y[i] = 0.9 * y[i] + 1e-9;
    x[i] -= 0.1 * y[i];
  }
}

// Sums of products on registers: enough of them to wait for no result, and few enough
// for the registers there are.
template <typename Register, int sums_at_once>
[[gnu::always_inline]] inline double MultiplyIn(int64_t steps, double factor) {
  Register sums[sums_at_once];
  for (int s = 0; s < sums_at_once; ++s) {
    sums[s] = Register{} + factor / (s + 1);  // else they would be computed once
  }
  const Register factors = Register{} + factor;
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 32
    for (int s = 0; s < sums_at_once; ++s) {
      sums[s] = sums[s] * factors + factors;
    }
  }
  double total = 0;
  for (const Register& sum : sums) {
    total += sum[0];
  }
  return total;
}

// What a call of one of these does: so many operations a step.
struct Multiplying {
  double (*run)(int64_t steps, double factor);
  double operations;
};

double MultiplyNarrow(int64_t steps, double factor) { return MultiplyIn<Two, 12>(steps, factor); }
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] double MultiplyFused(int64_t steps, double factor) {
  return MultiplyIn<Four, 12>(steps, factor);
}
[[gnu::target("avx512f")]] double MultiplyWide(int64_t steps, double factor) {
  return MultiplyIn<Lanes, 24>(steps, factor);
}
#endif

Multiplying WidestMultiplying() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) {
    return {MultiplyWide, 2 * 24 * 8};
  }
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    return {MultiplyFused, 2 * 12 * 4};
  }
#endif
  return {MultiplyNarrow, 2 * 12 * 2};
}

}  // namespace

double ReadBytesPerSecond(int threads) {
  for (int part = 0; part < threads; ++part) {
    ArraysOf(part);
  }
  const double seconds =
      std::min({ReadSeconds(threads, 1), ReadSeconds(threads, 4), ReadSeconds(threads, 16)});
  return threads * static_cast<double>(kArrayDoubles * sizeof(double)) / seconds;
}

double UpdateBytesPerSecond(int threads) {
  for (int part = 0; part < threads; ++part) {
    ArraysOf(part);
  }
  const double seconds = Seconds(
      [](int part) {
        Arrays& arrays = ArraysOf(part);
        Move(arrays.x.get(), arrays.y.get(), kArrayDoubles);
        benchmark::ClobberMemory();
      },
      threads);
  return threads * 4.0 * static_cast<double>(kArrayDoubles * sizeof(double)) / seconds;
}

double OperationsPerSecond(int threads) {
  constexpr int64_t kSteps = 4'000'000;
  const Multiplying multiplying = WidestMultiplying();
  const double seconds =
      Seconds([&](int) { benchmark::DoNotOptimize(multiplying.run(kSteps, 0.5)); }, threads);
  return threads * multiplying.operations * kSteps / seconds;
}

}  // namespace polyak::bench
