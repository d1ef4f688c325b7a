#include "server/engine/linalg/lane_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

// Deterministic numbers in [-1, 1] without a pattern.
std::vector<double> Irregular(size_t size, double phase) {
  std::vector<double> values(size);
  for (size_t i = 0; i < size; ++i) {
    const auto k = static_cast<double>(i);
    values[i] = std::sin(12.9898 * k * k + 78.233 * k + phase);
  }
  return values;
}

TEST(LaneKernels, OfTheWidestKindAreTheLastVersion) {
  ASSERT_NE(KernelsVersion(0), nullptr);
  int last = 0;
  while (KernelsVersion(last + 1) != nullptr) {
    ++last;
  }
  EXPECT_EQ(&WidestKernels(), KernelsVersion(last));
}

// Sums of products in the order of their steps, each rounded twice: what every version does.
TEST(LaneKernels, AddProductsInTheOrderOfTheStepsToTheBit) {
  constexpr int64_t kRows = 13;  // no multiple of any version's group of rows
  constexpr int64_t kSteps = 21;
  const auto a = Irregular(kRows * kSteps, 0.1);
  const auto panel = Irregular(kSteps * kPanelColumns, 0.2);
  const auto start = Irregular(kRows * kPanelColumns, 0.3);
  for (int version = 0; KernelsVersion(version) != nullptr; ++version) {
    std::vector<double> out = start;
    KernelsVersion(version)->add_product(kRows, kSteps, {a.data(), 1, kRows}, panel.data(),
                                         out.data());
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kPanelColumns; ++c) {
        double sum = start[static_cast<size_t>(r * kPanelColumns + c)];
        for (int64_t s = 0; s < kSteps; ++s) {
          const double product = a[static_cast<size_t>(r + s * kRows)] *
                                 panel[static_cast<size_t>(s * kPanelColumns + c)];
          sum += product;
        }
        ASSERT_EQ(out[static_cast<size_t>(r * kPanelColumns + c)], sum) << version;
      }
    }
  }
}

TEST(LaneKernels, SubtractARankUpdateFromTheLowerTriangle) {
  constexpr int64_t kSize = 61;
  constexpr int64_t kStride = 64;
  constexpr int64_t kDepth = 5;
  const auto whole = Irregular(kSize * kDepth, 0.4);  // row by row
  const auto right = Irregular(kSize * kDepth, 0.5);
  std::vector<double> left(static_cast<size_t>(kStride * kDepth));
  for (int64_t i = 0; i < kSize; ++i) {
    for (int64_t k = 0; k < kDepth; ++k) {
      left[static_cast<size_t>((i / kStripRows * kDepth + k) * kStripRows + i % kStripRows)] =
          whole[static_cast<size_t>(i * kDepth + k)];
    }
  }
  const auto start = Irregular(kSize * kStride, 0.6);
  for (int version = 0; KernelsVersion(version) != nullptr; ++version) {
    std::vector<double> a = start;
    KernelsVersion(version)->subtract_rank_update(kSize, kDepth, left.data(), right.data(),
                                                  a.data(), kStride);
    for (int64_t j = 0; j < kSize; ++j) {
      for (int64_t i = j; i < kSize; ++i) {
        double sum = 0;
        for (int64_t k = 0; k < kDepth; ++k) {
          const double product = whole[static_cast<size_t>(i * kDepth + k)] *
                                 right[static_cast<size_t>(j * kDepth + k)];
          sum += product;
        }
        const auto place = static_cast<size_t>(i + j * kStride);
        ASSERT_EQ(a[place], start[place] - sum) << version << " " << i << " " << j;
      }
    }
  }
}

TEST(LaneKernels, MoveAPointTheSameWayInEveryWidth) {
  constexpr int64_t kSize = 24;
  const StepFactors factors = {0.3, 0.9, 1, 0.9};
  const auto h = Irregular(kSize, 1);
  const auto off = Irregular(kSize + 1, 2);
  for (int version = 0; KernelsVersion(version) != nullptr; ++version) {
    const LaneKernels& kernels = *KernelsVersion(version);
    const LaneKernels& narrow = *KernelsVersion(0);
    std::vector<double> v = Irregular(kSize, 3);
    std::vector<double> memory = Irregular(kSize, 4);
    std::vector<double> gradient(kSize);
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = h[i] * v[i];
    }
    auto expected_v = v;
    auto expected_memory = memory;
    for (size_t i = 0; i < v.size(); ++i) {
      expected_memory[i] = factors.momentum * memory[i] + gradient[i];
      expected_v[i] -= factors.step_size * (factors.gradient_weight * gradient[i] +
                                            factors.memory_weight * expected_memory[i]);
    }
    auto other_v = v;
    auto other_memory = memory;
    const PointSums moved =
        kernels.diagonal_step(kSize, factors, h.data(), memory.data(), v.data());
    EXPECT_EQ(v, expected_v);
    EXPECT_EQ(memory, expected_memory);
    kernels.step(kSize, factors, gradient.data(), other_memory.data(), other_v.data());
    EXPECT_EQ(other_v, expected_v);
    EXPECT_EQ(other_memory, expected_memory);
    for (const PointSums& sums : {kernels.diagonal_sums(kSize, h.data(), v.data()),
                                  narrow.diagonal_sums(kSize, h.data(), v.data())}) {
      EXPECT_EQ(moved.form, sums.form) << kernels.name;
      EXPECT_EQ(moved.squares, sums.squares) << kernels.name;
    }
    std::vector<double> padded(kSize + 2);
    std::copy(v.begin(), v.end(), padded.begin() + 1);
    std::vector<double> couplings(kSize + 1);
    std::copy(off.begin(), off.begin() + kSize - 1, couplings.begin() + 1);
    std::vector<double> product(kSize);
    const PointSums sums = kernels.tridiagonal_product(kSize, h.data(), couplings.data() + 1,
                                                       padded.data() + 1, product.data());
    double form = 0;
    for (size_t i = 0; i < product.size(); ++i) {
      double entry = h[i] * v[i];
      entry += couplings[i] * padded[i];
      entry += couplings[i + 1] * padded[i + 2];
      ASSERT_EQ(product[i], entry) << kernels.name << " " << i;
      form += entry * v[i];
    }
    EXPECT_NEAR(sums.form, form, 1e-14);
    EXPECT_EQ(sums.squares, moved.squares);
  }
}

TEST(LaneKernels, EndAtZeroAndNotBelowTheNormalNumbers) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const StepFactors factors = {1, 0.5, 0, 1};
  const std::vector<double> still(kLaneDoubles);
  for (int version = 0; KernelsVersion(version) != nullptr; ++version) {
    std::vector<double> v = {1, kLeastCoordinate, -kLeastCoordinate, 0x1p-512, -0x1p-512, kNan, 0,
                             1};
    std::vector<double> memory = {0x1p-960, 0, 0, 0, 0, 0, kNan, 0x1p-958};
    KernelsVersion(version)->step(kLaneDoubles, factors, still.data(), memory.data(), v.data());
    EXPECT_EQ(v[0], 1);
    EXPECT_EQ(v[1], kLeastCoordinate);
    EXPECT_EQ(v[2], -kLeastCoordinate);
    EXPECT_EQ(v[3], 0);
    EXPECT_EQ(v[4], 0);
    EXPECT_TRUE(std::isnan(v[5]));
    EXPECT_TRUE(std::isnan(v[6]));
    EXPECT_EQ(memory[0], 0);
    EXPECT_TRUE(std::isnan(memory[6]));
    EXPECT_EQ(memory[7], 0x1p-959);
  }
}

}  // namespace
}  // namespace polyak::engine
