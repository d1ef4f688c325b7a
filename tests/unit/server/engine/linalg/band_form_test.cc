#include "server/engine/linalg/band_form.h"

#include <Eigen/Eigenvalues>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/linalg/symmetric_samples.h"

namespace polyak::engine {
namespace {

Matrix Whole(const BandForm& form) {
  Matrix matrix = Matrix::Zero(form.dimension, form.dimension);
  for (int64_t j = 0; j < form.dimension; ++j) {
    for (int64_t i = j; i < std::min(form.dimension, j + kBandStride); ++i) {
      matrix(i, j) = form.band[static_cast<size_t>(i + j * (kBandStride - 1))];
      matrix(j, i) = matrix(i, j);
    }
  }
  return matrix;
}

// Q x of the blocks, which were applied to H in their order.
Matrix Reflections(const BandForm& form) {
  Matrix q = Matrix::Identity(form.dimension, form.dimension);
  for (auto block = form.blocks.rbegin(); block != form.blocks.rend(); ++block) {
    const auto rows = form.dimension - block->first_row;
    using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<const RowMajor> v(block->v.data(), rows, kPanelColumns);
    const Eigen::Map<const RowMajor> t(block->factor.data(), kPanelColumns, kPanelColumns);
    q.bottomRows(rows) -= v * t * (v.transpose() * q.bottomRows(rows));
  }
  return q;
}

TEST(BandForm, IsTheMatrixInOtherOrthogonalCoordinates) {
  for (const Eigen::Index dimension : {1, 2, 31, 32, 33, 34, 64, 65, 97, 150}) {
    const Matrix matrix = IrregularSymmetric(dimension);
    const double scale = 0.25;
    const BandForm form = ReduceToBand(matrix, scale);
    const Matrix q = Reflections(form);
    const double rounding = ReductionRounding(dimension, 1);
    EXPECT_LE((q.transpose() * q - Matrix::Identity(dimension, dimension)).norm(), rounding);
    EXPECT_LE((q * Whole(form) * q.transpose() - scale * matrix).norm(),
              rounding * scale * matrix.norm())
        << dimension;
    for (int64_t j = 0; j < dimension; ++j) {
      for (int64_t i = j + kPanelColumns + 1; i < std::min(dimension, j + kBandStride); ++i) {
        ASSERT_EQ(form.band[static_cast<size_t>(i + j * (kBandStride - 1))], 0) << i << " " << j;
      }
    }
  }
}

TEST(BandForm, HasTheSameBitsFromEveryWidthOfRegisters) {
  const Matrix matrix = IrregularSymmetric(203);
  const BandForm narrow = ReduceToBand(matrix, 1, *KernelsVersion(0));
  for (int version = 1; KernelsVersion(version) != nullptr; ++version) {
    const BandForm form = ReduceToBand(matrix, 1, *KernelsVersion(version));
    EXPECT_EQ(form.band, narrow.band) << KernelsVersion(version)->name;
    ASSERT_EQ(form.blocks.size(), narrow.blocks.size());
    for (size_t k = 0; k < form.blocks.size(); ++k) {
      EXPECT_EQ(form.blocks[k].v, narrow.blocks[k].v);
      EXPECT_EQ(form.blocks[k].factor, narrow.blocks[k].factor);
    }
  }
}

TEST(BandForm, LeavesABandMatrixAsItIs) {
  const Matrix matrix = IrregularVector(100, 0.2).asDiagonal();
  EXPECT_EQ(Whole(ReduceToBand(matrix, 1)), matrix);
}

}  // namespace
}  // namespace polyak::engine
