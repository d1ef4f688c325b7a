#pragma once

#include <cstdint>

#include "server/base/bytes.h"
#include "server/base/double_buffer.h"
#include "server/engine/linalg/tile_kernels.h"
#include "server/engine/linalg/types.h"

namespace polyak::engine {

// A matrix in strips of 8 rows, as the TileKernels want one with few columns: entry (i, c) at
// (i / 8) 8 cols + 8 c + i % 8. Rows beyond the last are 0.
class StripMatrix {
 public:
  StripMatrix(int64_t rows, int64_t cols);
  explicit StripMatrix(const Matrix& values);
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t strips() const { return strips_; }
  double* strip(int64_t s) { return values_.get() + s * kTileRows * cols_; }
  const double* strip(int64_t s) const { return values_.get() + s * kTileRows * cols_; }
  double& operator()(int64_t i, int64_t c) {
    return strip(i / kTileRows)[c * kTileRows + i % kTileRows];
  }
  double operator()(int64_t i, int64_t c) const {
    return strip(i / kTileRows)[c * kTileRows + i % kTileRows];
  }
  void SetZero(int64_t first_strip, int64_t last_strip);
  void Scale(double factor, int64_t first_strip, int64_t last_strip);
  // Makes what is beyond the last row 0 again.
  void ClearPadding();

 private:
  int64_t rows_;
  int64_t cols_;
  int64_t strips_;
  base::DoubleBuffer values_;
};

// A matrix in panels of kPanelColumnsMax columns, the last one narrower, each in tiles of 8 rows
// that lie one behind the other: a pass over a panel reads memory in its order. Rows and columns
// are filled up to multiples of 8 with zeros.
class TiledMatrix {
 public:
  TiledMatrix(int64_t rows, int64_t cols);
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t strips() const { return strips_; }
  int64_t panels() const { return (padded_cols_ + kPanelColumnsMax - 1) / kPanelColumnsMax; }
  // Columns of panel p.
  int64_t width(int64_t p) const;
  double* tile(int64_t p, int64_t strip) {
    return values_.get() + Offset(p) + strip * kTileRows * width(p);
  }
  const double* tile(int64_t p, int64_t strip) const {
    return values_.get() + Offset(p) + strip * kTileRows * width(p);
  }
  double& operator()(int64_t i, int64_t j) {
    return tile(j / kPanelColumnsMax,
                i / kTileRows)[j % kPanelColumnsMax * kTileRows + i % kTileRows];
  }
  double operator()(int64_t i, int64_t j) const {
    return tile(j / kPanelColumnsMax,
                i / kTileRows)[j % kPanelColumnsMax * kTileRows + i % kTileRows];
  }
  // Its values column by column, without a count. Allocates nothing.
  void Write(base::ByteSink& out) const;
  void Read(base::ByteSource& in);

 private:
  int64_t Offset(int64_t p) const { return p * kPanelColumnsMax * strips_ * kTileRows; }

  int64_t rows_;
  int64_t cols_;
  int64_t strips_;
  int64_t padded_cols_;
  base::DoubleBuffer values_;
};

}  // namespace polyak::engine
