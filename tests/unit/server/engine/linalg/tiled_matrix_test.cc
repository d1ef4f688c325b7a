#include "server/engine/linalg/tiled_matrix.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

struct Shape {
  int64_t rows;
  int64_t cols;
};
// On both sides of tiles, panels and the buffer that columns pass through.
constexpr Shape kShapes[] = {{1, 1}, {8, 32}, {9, 33}, {10, 70}, {520, 3}, {1025, 41}};

Matrix Numbered(const Shape& shape) {
  Matrix matrix(shape.rows, shape.cols);
  for (Eigen::Index k = 0; k < matrix.size(); ++k) {
    matrix.data()[k] = 1 + static_cast<double>(k);
  }
  return matrix;
}

std::string BytesOf(const Matrix& matrix) {
  return {reinterpret_cast<const char*>(matrix.data()),
          static_cast<size_t>(matrix.size()) * sizeof(double)};
}

TEST(TiledMatrix, ReadsAndWritesColumnByColumnWhateverItsTilesAre) {
  for (const Shape& shape : kShapes) {
    const Matrix matrix = Numbered(shape);
    TiledMatrix tiles(shape.rows, shape.cols);
    const std::string bytes = BytesOf(matrix);
    base::StringSource source(bytes);
    tiles.Read(source);
    EXPECT_TRUE(source.at_end());
    base::StringSink out;
    tiles.Write(out);
    EXPECT_EQ(out.bytes(), bytes) << shape.rows << " x " << shape.cols;
    for (int64_t j = 0; j < shape.cols; ++j) {
      for (int64_t i = 0; i < shape.rows; ++i) {
        ASSERT_EQ(tiles(i, j), matrix(i, j));
      }
    }
  }
}

TEST(TiledMatrix, HasItsEntriesWhereTheKernelsLookAndZerosBesideThem) {
  for (const Shape& shape : kShapes) {
    TiledMatrix tiles(shape.rows, shape.cols);
    const Matrix matrix = Numbered(shape);
    const std::string bytes = BytesOf(matrix);
    base::StringSource source(bytes);
    tiles.Read(source);
    for (int64_t p = 0; p < tiles.panels(); ++p) {
      EXPECT_EQ(tiles.width(p) % kTileRows, 0);
      EXPECT_LE(tiles.width(p), kPanelColumnsMax);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(tiles.tile(p, 0)) % 64, 0);
      for (int64_t i = 0; i < tiles.strips() * kTileRows; ++i) {
        for (int64_t k = 0; k < tiles.width(p); ++k) {
          const int64_t j = p * kPanelColumnsMax + k;
          const double expected = i < shape.rows && j < shape.cols ? matrix(i, j) : 0;
          ASSERT_EQ(tiles.tile(p, i / kTileRows)[k * kTileRows + i % kTileRows], expected);
        }
      }
    }
  }
}

TEST(StripMatrix, HasItsEntriesWhereTheKernelsLookAndZerosBelowThem) {
  for (const Shape& shape : kShapes) {
    const Matrix matrix = Numbered(shape);
    StripMatrix strips(matrix);
    EXPECT_EQ(strips.rows(), shape.rows);
    EXPECT_EQ(strips.cols(), shape.cols);
    for (int64_t c = 0; c < shape.cols; ++c) {
      for (int64_t i = 0; i < strips.strips() * kTileRows; ++i) {
        const double expected = i < shape.rows ? matrix(i, c) : 0;
        ASSERT_EQ(strips.strip(i / kTileRows)[c * kTileRows + i % kTileRows], expected);
      }
    }
    strips.Scale(2, 0, 1);
    EXPECT_EQ(strips(0, 0), 2);
    strips.SetZero(0, 1);
    EXPECT_EQ(strips(0, 0), 0);
    if (shape.rows > kTileRows) {
      EXPECT_EQ(strips(kTileRows, 0), matrix(kTileRows, 0));  // of another strip
    }
  }
}

}  // namespace
}  // namespace polyak::engine
