#include "server/engine/linalg/tiled_matrix.h"

#include <algorithm>
#include <array>

namespace polyak::engine {
namespace {

// Of a column, on its way: whole tiles.
constexpr int64_t kBufferDoubles = 512;

int64_t RoundUp(int64_t count) { return (count + kTileRows - 1) / kTileRows * kTileRows; }

base::DoubleBuffer Zeros(int64_t count) {
  base::DoubleBuffer values = base::AllocateDoubles(count);
  std::fill_n(values.get(), count, 0.0);
  return values;
}

}  // namespace

StripMatrix::StripMatrix(int64_t rows, int64_t cols)
    : rows_(rows),
      cols_(cols),
      strips_(RoundUp(rows) / kTileRows),
      values_(Zeros(RoundUp(rows) * cols)) {}

StripMatrix::StripMatrix(const Matrix& values) : StripMatrix(values.rows(), values.cols()) {
  for (int64_t c = 0; c < cols_; ++c) {
    for (int64_t i = 0; i < rows_; ++i) {
      strip(i / kTileRows)[c * kTileRows + i % kTileRows] = values(i, c);
    }
  }
}

void StripMatrix::SetZero(int64_t first_strip, int64_t last_strip) {
  std::fill(strip(first_strip), strip(last_strip), 0.0);
}

void StripMatrix::Scale(double factor, int64_t first_strip, int64_t last_strip) {
  for (double* value = strip(first_strip); value != strip(last_strip); ++value) {
    *value *= factor;
  }
}

void StripMatrix::ClearPadding() {
  for (int64_t i = rows_; i < strips_ * kTileRows; ++i) {
    for (int64_t c = 0; c < cols_; ++c) {
      (*this)(i, c) = 0;
    }
  }
}

TiledMatrix::TiledMatrix(int64_t rows, int64_t cols)
    : rows_(rows),
      cols_(cols),
      strips_(RoundUp(rows) / kTileRows),
      padded_cols_(RoundUp(cols)),
      values_(Zeros(RoundUp(rows) * RoundUp(cols))) {}

int64_t TiledMatrix::width(int64_t p) const {
  return std::min(kPanelColumnsMax, padded_cols_ - p * kPanelColumnsMax);
}

void TiledMatrix::Write(base::ByteSink& out) const {
  std::array<double, kBufferDoubles> buffer{};
  for (int64_t j = 0; j < cols_; ++j) {
    for (int64_t first = 0; first < rows_; first += kBufferDoubles) {
      const int64_t count = std::min(kBufferDoubles, rows_ - first);
      const double* values = tile(j / kPanelColumnsMax, first / kTileRows);
      for (int64_t i = 0; i < count; i += kTileRows) {
        const int64_t width_of_panel = width(j / kPanelColumnsMax);
        std::copy_n(values + i * width_of_panel + j % kPanelColumnsMax * kTileRows, kTileRows,
                    buffer.begin() + i);
      }
      out.Write({reinterpret_cast<const char*>(buffer.data()),
                 static_cast<size_t>(count) * sizeof(double)});
    }
  }
}

void TiledMatrix::Read(base::ByteSource& in) {
  std::array<double, kBufferDoubles> buffer{};
  for (int64_t j = 0; j < cols_; ++j) {
    for (int64_t first = 0; first < rows_; first += kBufferDoubles) {
      const int64_t count = std::min(kBufferDoubles, rows_ - first);
      in.Read(
          {reinterpret_cast<char*>(buffer.data()), static_cast<size_t>(count) * sizeof(double)});
      for (int64_t i = 0; i < count; ++i) {
        (*this)(first + i, j) = buffer.at(static_cast<size_t>(i));
      }
    }
  }
}

}  // namespace polyak::engine
