#include "server/engine/linalg/tile_kernels.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

using Values = std::vector<double>;

// Deterministic numbers in [-1, 1] without a pattern.
Values Irregular(int64_t size, double phase) {
  Values values(static_cast<size_t>(size));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto k = static_cast<double>(i);
    values[i] = std::sin(12.9898 * k * k + 78.233 * k + phase);
  }
  return values;
}

// Entry (i, j) of a panel with so many columns, or of a matrix in strips.
size_t Place(int64_t i, int64_t j, int64_t columns) {
  return static_cast<size_t>((i / kTileRows * columns + j) * kTileRows + i % kTileRows);
}

double MultiplyAdd(bool fused, double x, double y, double sum) {
  if (fused) {
    return std::fma(x, y, sum);
  }
  const double product = x * y;
  return sum + product;
}

struct Size {
  PanelShape shape;
  int64_t width;
};

// Every number of columns a panel can have, with numbers of strips and of factors on both sides of
// what any version holds in registers.
std::vector<Size> Sizes() {
  std::vector<Size> sizes;
  for (const int64_t columns : {8, 16, 24, 32}) {
    for (const int64_t strips : {1, 2, 3, 9, 17}) {
      for (const int64_t width : {1, 2, 3, 5, 7, 10, 13, 20, 31}) {
        sizes.push_back({{strips, columns}, width});
      }
    }
  }
  return sizes;
}

std::string NameOf(const TileKernels& kernels, const Size& size) {
  return std::string{kernels.name} + ", " + std::to_string(size.shape.strips) + " x " +
         std::to_string(size.shape.columns) + ", width " + std::to_string(size.width);
}

// Of a sum of so many products whose sizes add up to `sizes`, each rounded at most twice.
double Allowed(int64_t terms, long double sizes) {
  return static_cast<double>(2 * (terms + 8) * sizes) * std::numeric_limits<double>::epsilon();
}

TEST(TileKernels, OfTheWidestKindAreTheLastVersionAndAllButTheFirstFuse) {
  ASSERT_NE(TileKernelsVersion(0), nullptr);
  EXPECT_FALSE(TileKernelsVersion(0)->fused);
  int last = 0;
  while (TileKernelsVersion(last + 1) != nullptr) {
    ++last;
    EXPECT_TRUE(TileKernelsVersion(last)->fused);
  }
  EXPECT_EQ(&WidestTileKernels(), TileKernelsVersion(last));
}

TEST(TileKernels, AddProductsInTheOrderOfTheColumnsToTheBit) {
  for (int version = 0; TileKernelsVersion(version) != nullptr; ++version) {
    const TileKernels& kernels = *TileKernelsVersion(version);
    for (const Size& size : Sizes()) {
      const auto [strips, columns] = size.shape;
      const int64_t rows = strips * kTileRows;
      const Values tiles = Irregular(rows * columns, 0.1);
      const Values right = Irregular(columns * size.width, 0.2);
      const Values start = Irregular(rows * size.width, 0.3);
      Values out = start;
      kernels.add_product(size.shape, tiles.data(), size.width, right.data(), out.data());
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t c = 0; c < size.width; ++c) {
          double sum = start[Place(i, c, size.width)];
          long double exact = sum;
          long double sizes = std::abs(sum);
          for (int64_t j = 0; j < columns; ++j) {
            const double x = tiles[Place(i, j, columns)];
            const double y = right[Place(j, c, size.width)];
            sum = MultiplyAdd(kernels.fused, y, x, sum);
            exact += static_cast<long double>(x) * y;
            sizes += std::abs(static_cast<long double>(x) * y);
          }
          ASSERT_EQ(out[Place(i, c, size.width)], sum) << NameOf(kernels, size);
          ASSERT_NEAR(sum, static_cast<double>(exact), Allowed(columns, sizes));
        }
      }
    }
  }
}

TEST(TileKernels, MultiplyTheTransposedPanelByLanesToTheBit) {
  for (int version = 0; TileKernelsVersion(version) != nullptr; ++version) {
    const TileKernels& kernels = *TileKernelsVersion(version);
    for (const Size& size : Sizes()) {
      const auto [strips, columns] = size.shape;
      const int64_t rows = strips * kTileRows;
      const Values tiles = Irregular(rows * columns, 0.4);
      const Values left = Irregular(rows * size.width, 0.5);
      Values out = Irregular(columns * size.width, 0.6);  // what was there does not count
      kernels.transposed_product(size.shape, tiles.data(), size.width, left.data(), out.data());
      for (int64_t j = 0; j < columns; ++j) {
        for (int64_t c = 0; c < size.width; ++c) {
          double x[kTileRows] = {};
          long double exact = 0;
          long double sizes = 0;
          for (int64_t i = 0; i < rows; ++i) {
            const double entry = tiles[Place(i, j, columns)];
            const double factor = left[Place(i, c, size.width)];
            x[i % kTileRows] = MultiplyAdd(kernels.fused, entry, factor, x[i % kTileRows]);
            exact += static_cast<long double>(entry) * factor;
            sizes += std::abs(static_cast<long double>(entry) * factor);
          }
          const double sum = ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
          ASSERT_EQ(out[Place(j, c, size.width)], sum) << NameOf(kernels, size);
          ASSERT_NEAR(sum, static_cast<double>(exact), Allowed(rows, sizes));
        }
      }
    }
  }
}

struct Moved {
  double weight;
  double memory;
};

// By hand: the kernels' order, with each multiplication fused with its addition or not.
Moved MoveByHand(bool fused, const StepFactors& factors, bool with_memory, double gradient,
                 const Moved& before) {
  double direction = gradient;
  double memory = before.memory;
  if (with_memory) {
    memory = MultiplyAdd(fused, factors.momentum, before.memory, gradient);
    direction = memory;
    if (factors.gradient_weight != 0) {
      direction =
          MultiplyAdd(fused, factors.gradient_weight, gradient, memory * factors.memory_weight);
    }
  }
  return {MultiplyAdd(fused, -factors.step_size, direction, before.weight), memory};
}

TEST(TileKernels, MoveWeightsByAGradientThatIsNeverStoredToTheBit) {
  const StepFactors methods[] = {{0.3, 0, 0, 1}, {0.3, 0.9, 0, 1}, {0.3, 0.9, 1, 0.9}};
  for (int version = 0; TileKernelsVersion(version) != nullptr; ++version) {
    const TileKernels& kernels = *TileKernelsVersion(version);
    for (const Size& size : Sizes()) {
      const auto [strips, columns] = size.shape;
      const int64_t rows = strips * kTileRows;
      const Values left = Irregular(rows * size.width, 0.7);
      const Values slope = Irregular(columns * size.width, 0.8);
      const Values weights = Irregular(rows * columns, 0.9);
      const Values memory = Irregular(rows * columns, 1.0);
      for (const StepFactors& factors : methods) {
        const bool with_memory = factors.momentum != 0;
        Values tiles = weights;
        Values moved_memory = memory;
        kernels.move(size.shape,
                     {factors,
                      size.width,
                      left.data(),
                      slope.data(),
                      with_memory ? moved_memory.data() : nullptr,
                      {tiles.data(), with_memory ? moved_memory.data() : nullptr}},
                     tiles.data());
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < columns; ++j) {
            double gradient = 0;
            long double exact = 0;
            for (int64_t k = 0; k < size.width; ++k) {
              const double x = left[Place(i, k, size.width)];
              const double y = slope[Place(j, k, size.width)];
              gradient = MultiplyAdd(kernels.fused, y, x, gradient);
              exact += static_cast<long double>(x) * y;
            }
            const size_t place = Place(i, j, columns);
            const Moved expected = MoveByHand(kernels.fused, factors, with_memory, gradient,
                                              {weights[place], memory[place]});
            ASSERT_EQ(tiles[place], expected.weight) << NameOf(kernels, size);
            ASSERT_EQ(moved_memory[place], expected.memory) << NameOf(kernels, size);
            ASSERT_NEAR(gradient, static_cast<double>(exact),
                        Allowed(size.width, static_cast<long double>(size.width)));
          }
        }
      }
    }
  }
}

// At a kink, on both sides of it, and where a run has left the numbers.
TEST(TileKernels, TakeOutputsAndSlopesOfActiveNeuronsAlone) {
  constexpr int64_t kExamples = 5;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Values outputs = {0.5, -0.5, 0.5, -0.5, 0.5, -0.5, 0.5, -0.5};
  const Values residual = Irregular(kExamples, 1.2);
  Values z = Irregular(kExamples * kTileRows, 1.1);
  z[3] = 0;
  z[4] = -0.0;
  z[12] = kNan;
  z[17] = kInfinity;
  z[18] = -kInfinity;
  for (int version = 0; TileKernelsVersion(version) != nullptr; ++version) {
    const TileKernels& kernels = *TileKernelsVersion(version);
    Values sums = Irregular(kExamples * kTileRows, 1.3);
    const Values start = sums;
    Values slopes(sums.size(), 7);
    kernels.add_outputs(kExamples, outputs.data(), z.data(), sums.data());
    kernels.take_slopes(kExamples, outputs.data(), z.data(), residual.data(), slopes.data());
    for (size_t k = 0; k < z.size(); ++k) {
      const double s = outputs[k % kTileRows];
      EXPECT_EQ(slopes[k], z[k] > 0 ? s * residual[k / kTileRows] : 0) << kernels.name;
      const double output = s * z[k];
      const double sum = start[k] + (z[k] <= 0 ? 0 : output);
      if (std::isnan(sum)) {
        EXPECT_TRUE(std::isnan(sums[k])) << kernels.name;
      } else {
        EXPECT_EQ(sums[k], sum) << kernels.name;
      }
    }
    EXPECT_TRUE(std::isnan(sums[12]));
  }
}

}  // namespace
}  // namespace polyak::engine
