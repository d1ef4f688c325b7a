#include "server/engine/random/normal_matrix.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

TEST(NormalMatrix, ByRowsPutsPositionRowTimesColumnsPlusColumn) {
  const RandomStream stream(Seed{4}, DrawPurpose::kFeatures);
  const Matrix matrix = NormalMatrixByRows(stream, 5, 3);
  ASSERT_EQ(matrix.rows(), 5);
  ASSERT_EQ(matrix.cols(), 3);
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 3; ++j) {
      EXPECT_EQ(matrix(i, j), stream.Normal(static_cast<uint64_t>(i * 3 + j)));
    }
  }
}

TEST(NormalMatrix, ByRowsKeepsItsFirstRowsWhateverTheirNumber) {
  const RandomStream stream(Seed{4}, DrawPurpose::kFeatures);
  EXPECT_EQ(NormalMatrixByRows(stream, 9, 7).topRows(4), NormalMatrixByRows(stream, 4, 7));
}

TEST(NormalMatrix, ByColumnsPutsPositionRowPlusColumnTimesRows) {
  const RandomStream stream(Seed{4}, DrawPurpose::kDeepLinearWeights, 3);
  const Matrix matrix = NormalMatrixByColumns(stream, 5, 3);
  ASSERT_EQ(matrix.rows(), 5);
  ASSERT_EQ(matrix.cols(), 3);
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 3; ++j) {
      EXPECT_EQ(matrix(i, j), stream.Normal(static_cast<uint64_t>(i + j * 5)));
    }
  }
}

TEST(NormalMatrix, MayHaveNoRowsOrColumns) {
  const RandomStream stream(Seed{4}, DrawPurpose::kFeatures);
  EXPECT_EQ(NormalMatrixByRows(stream, 0, 3).rows(), 0);
  EXPECT_EQ(NormalMatrixByRows(stream, 0, 3).cols(), 3);
  EXPECT_EQ(NormalMatrixByColumns(stream, 3, 0).cols(), 0);
}

}  // namespace
}  // namespace polyak::engine
