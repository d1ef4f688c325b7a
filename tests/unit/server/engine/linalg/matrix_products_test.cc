// The products of one matrix with one vector or many, and what a quadratic makes of them
// (tile_kernels.h, lane_kernels.h), in every version that this processor has.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/linalg/lane_kernels.h"
#include "server/engine/linalg/tile_kernels.h"

namespace polyak::engine {
namespace {

// Deterministic numbers in [-1, 1] without a pattern.
std::vector<double> Irregular(int64_t size, double phase) {
  std::vector<double> values(static_cast<size_t>(size));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto k = static_cast<double>(i);
    values[i] = std::sin(12.9898 * k * k + 78.233 * k + phase);
  }
  return values;
}

// Each sum over the columns in their order.
//   fused: a multiplication and the addition that follows it are rounded once.
std::vector<double> Product(bool fused, int64_t size, const std::vector<double>& matrix,
                            const std::vector<double>& vector) {
  std::vector<double> product(static_cast<size_t>(size));
  for (int64_t s = 0; s < size; ++s) {
    for (int64_t r = 0; r < size; ++r) {
      const double entry = matrix[static_cast<size_t>(s * size + r)];
      const double factor = vector[static_cast<size_t>(s)];
      double& sum = product[static_cast<size_t>(r)];
      sum = fused ? std::fma(entry, factor, sum) : sum + entry * factor;
    }
  }
  return product;
}

// Sizes around a register, a group of registers, and the blocks in which columns are taken.
TEST(MatrixProducts, AreTheSumsInTheOrderOfTheColumnsWhateverIsComputedBesides) {
  for (const int64_t size : {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 70, 100, 127, 128, 129, 200, 515}) {
    // Exactly as long as they must be, so that a sanitizer sees every step beyond them.
    const auto matrix = Irregular(size * size, 0.1);
    std::vector<std::vector<double>> vectors;
    std::vector<std::vector<double>> rounded_twice;
    std::vector<std::vector<double>> rounded_once;
    for (int c = 0; c < 67; ++c) {
      vectors.push_back(Irregular(size, 0.2 + c));
      rounded_twice.push_back(Product(false, size, matrix, vectors.back()));
      rounded_once.push_back(Product(true, size, matrix, vectors.back()));
    }
    for (int version = 0; TileKernelsVersion(version) != nullptr; ++version) {
      const TileKernels& kernels = *TileKernelsVersion(version);
      const auto& expected = kernels.fused && size >= kLaneDoubles ? rounded_once : rounded_twice;
      for (const size_t count : {1, 2, 3, 4, 5, 6, 7, 12, 13, 64, 67}) {
        std::vector<std::vector<double>> products(
            count, std::vector<double>(static_cast<size_t>(size), 7.0));
        std::vector<const double*> sources;
        std::vector<double*> places;
        for (size_t c = 0; c < count; ++c) {
          sources.push_back(vectors[c].data());
          places.push_back(products[c].data());
        }
        kernels.matrix_products(size, matrix.data(), static_cast<int64_t>(count), sources.data(),
                                places.data());
        for (size_t c = 0; c < count; ++c) {
          ASSERT_EQ(products[c], expected[c])
              << kernels.name << ", d = " << size << ", vector " << c << " of " << count;
        }
      }
    }
  }
}

TEST(MatrixProducts, OfNoVectorsTouchNothing) {
  const std::vector<double> matrix(64);
  for (int version = 0; TileKernelsVersion(version) != nullptr; ++version) {
    TileKernelsVersion(version)->matrix_products(8, matrix.data(), 0, nullptr, nullptr);
  }
}

TEST(GradientSums, SubtractTheLinearTermAndAreTheSameInEveryVersion) {
  for (const int64_t size : {1, 7, 8, 9, 16, 100, 1003}) {
    const auto minimiser = Irregular(size, 0.1);
    const auto linear_term = Irregular(size, 0.2);
    const auto w = Irregular(size, 0.3);
    const auto product = Irregular(size, 0.4);
    // In extended precision: what is left is the rounding of sums of terms of at most 4.
    long double form = 0;
    long double squares = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      const double residual = w[i] - minimiser[i];
      form += static_cast<long double>(residual) * (product[i] - linear_term[i]);
      squares += static_cast<long double>(residual) * residual;
    }
    const double tolerance = 4.0 * static_cast<double>(size) * (size / 8.0 + 4) * 0x1p-53;
    PointSums narrow = {};
    for (int version = 0; KernelsVersion(version) != nullptr; ++version) {
      auto gradient = product;
      const PointSums sums = KernelsVersion(version)->gradient_sums(
          size, minimiser.data(), linear_term.data(), w.data(), gradient.data());
      for (size_t i = 0; i < w.size(); ++i) {
        ASSERT_EQ(gradient[i], product[i] - linear_term[i]);
      }
      EXPECT_NEAR(sums.form, static_cast<double>(form), tolerance) << size;
      EXPECT_NEAR(sums.squares, static_cast<double>(squares), tolerance) << size;
      if (version == 0) {
        narrow = sums;
      }
      EXPECT_EQ(sums.form, narrow.form) << size;
      EXPECT_EQ(sums.squares, narrow.squares) << size;
    }
  }
}

}  // namespace
}  // namespace polyak::engine
