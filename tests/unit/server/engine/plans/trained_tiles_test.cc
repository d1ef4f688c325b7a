#include "server/engine/plans/trained_tiles.h"

#include <array>
#include <cmath>
#include <string>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

Matrix Irregular(int64_t rows, int64_t cols, double phase) {
  Matrix matrix(rows, cols);
  for (Eigen::Index k = 0; k < matrix.size(); ++k) {
    matrix.data()[k] = std::sin(78.233 * static_cast<double>(k) + phase);
  }
  return matrix;
}

TrainedTiles Trained(const Matrix& weights) {
  TrainedTiles tiles(weights.rows(), weights.cols(), true);
  for (int64_t j = 0; j < weights.cols(); ++j) {
    for (int64_t i = 0; i < weights.rows(); ++i) {
      tiles.weights()(i, j) = weights(i, j);
    }
  }
  return tiles;
}

std::string BytesOf(const TiledMatrix& matrix) {
  base::StringSink sink;
  matrix.Write(sink);
  return sink.bytes();
}

// What a step with two threads, or with one, or with any division of the rows makes.
struct Outcome {
  std::string weights;
  std::string memory;
  std::string forward;
  std::string backward;
};

std::string BytesOf(const StripMatrix& matrix) {
  return {reinterpret_cast<const char*>(matrix.strip(0)),
          static_cast<size_t>(matrix.strips() * kTileRows * matrix.cols()) * sizeof(double)};
}

Outcome MoveInParts(const std::array<int64_t, 4>& bounds, const std::array<int64_t, 4>& panels) {
  constexpr int64_t kRows = 100;  // 13 strips
  constexpr int64_t kCols = 70;   // 3 panels
  TrainedTiles tiles = Trained(Irregular(kRows, kCols, 0.1));
  const StripMatrix left(Irregular(kRows, 3, 0.2));
  const StripMatrix slope(Irregular(kCols, 3, 0.3));
  const StripMatrix right(Irregular(kCols, 11, 0.4));
  StripMatrix forward(kRows, 11);
  StripMatrix backward(kCols, 3);
  for (int step = 0; step < 2; ++step) {
    for (size_t k = 0; k + 1 < bounds.size(); ++k) {
      tiles.MoveAndAddProduct(bounds[k], bounds[k + 1], {0.1, 0.5, 1, 0.5}, left.strip(bounds[k]),
                              slope, right, forward);
    }
  }
  // It sums over rows, and is divided by columns.
  for (size_t k = 0; k + 1 < panels.size(); ++k) {
    tiles.TransposedProduct(panels[k], panels[k + 1], left, backward);
  }
  return {BytesOf(tiles.weights()), BytesOf(*tiles.memory()), BytesOf(forward), BytesOf(backward)};
}

TEST(TrainedTiles, HaveTheSameBitsHoweverAStepIsDivided) {
  const Outcome whole = MoveInParts({0, 13, 13, 13}, {0, 3, 3, 3});
  for (const std::array<int64_t, 4>& bounds :
       {std::array<int64_t, 4>{0, 6, 13, 13}, {0, 1, 2, 13}, {0, 4, 8, 13}}) {
    const Outcome divided = MoveInParts(bounds, {0, 1, 2, 3});
    EXPECT_EQ(divided.weights, whole.weights);
    EXPECT_EQ(divided.memory, whole.memory);
    EXPECT_EQ(divided.forward, whole.forward);
    EXPECT_EQ(divided.backward, whole.backward);
  }
}

// An image that is taken while the weights move is that of the weights as they are then.
TEST(TrainedTiles, GiveTheImageOfTheMovedWeights) {
  TrainedTiles tiles = Trained(Irregular(37, 45, 1));
  const StripMatrix left(Irregular(37, 2, 2));
  const StripMatrix slope(Irregular(45, 2, 3));
  const StripMatrix right(Irregular(45, 5, 4));
  StripMatrix moved(37, 5);
  tiles.MoveAndAddProduct(0, 5, {0.3, 0.5, 0, 1}, left.strip(0), slope, right, moved);
  StripMatrix again(37, 5);
  tiles.AddProduct(0, 5, right, again);
  EXPECT_EQ(BytesOf(moved), BytesOf(again));
}

TEST(StepParts, CoverEverythingOnceWithThreadsAndWithout) {
  for (const double operations : {1.0, 1e9}) {
    std::array<int, 23> seen = {};
    ForEachStepPart(operations, [&](int part) {
      for (int64_t k = FirstOfPart(part, 23); k < FirstOfPart(part + 1, 23); ++k) {
        ++seen.at(static_cast<size_t>(k));
      }
    });
    for (const int times : seen) {
      EXPECT_EQ(times, 1);
    }
  }
}

}  // namespace
}  // namespace polyak::engine
