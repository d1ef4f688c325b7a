#include "server/engine/linalg/band_form.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace polyak::engine {
namespace {

constexpr int64_t kColumns = kPanelColumns;
constexpr int64_t kTile = 48;  // two tiles stay in the first cache
using Square = std::array<double, kColumns * kColumns>;

struct Free {
  void operator()(double* values) const { std::free(values); }
};
using Buffer = std::unique_ptr<double[], Free>;

// Zeros, at the beginning of a cache line.
Buffer Allocate(int64_t values) {
  constexpr size_t kLine = 64;
  const size_t bytes = (static_cast<size_t>(values) * sizeof(double) + kLine - 1) / kLine * kLine;
  Buffer buffer(static_cast<double*>(std::aligned_alloc(kLine, bytes)));
  if (buffer == nullptr) {
    throw std::bad_alloc();
  }
  std::fill_n(buffer.get(), bytes / sizeof(double), 0.0);
  return buffer;
}

// The QR factorisation of a panel (rows x kColumns, row by row): R is left above the diagonal, the
// reflectors V below it, with their T.
void FactorPanel(const LaneKernels& kernels, int64_t rows, double* panel, double* factor) {
  std::array<double, kColumns> sums{};  // sum_i p(i, j) p(i, :) over the rows below the pivot row
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t c = 0; c < kColumns; ++c) {
      sums[static_cast<size_t>(c)] += i == 0 ? 0 : panel[i * kColumns] * panel[i * kColumns + c];
    }
  }
  std::fill_n(factor, kColumns * kColumns, 0.0);
  for (int64_t j = 0; j < std::min(kColumns, rows); ++j) {
    double* const pivot = panel + j * kColumns;
    const double alpha = pivot[j];
    const double norm = std::sqrt(alpha * alpha + sums[static_cast<size_t>(j)]);
    const double sigma = alpha < 0 ? norm : -norm;
    const bool is_zero = norm < kLeastColumn;
    const double scale = is_zero ? 0 : 1 / (alpha - sigma);
    const double tau = is_zero ? 0 : (sigma - alpha) / sigma;
    // v'P of the columns to come, v'V of those before, V being 0 above its own diagonal.
    std::array<double, kColumns> weights{};
    for (int64_t c = 0; c < kColumns; ++c) {
      const double product = pivot[c] + scale * sums[static_cast<size_t>(c)];
      if (c < j) {
        factor[c * kColumns + j] = product;
      } else if (c > j) {
        weights[static_cast<size_t>(c)] = tau * product;
        pivot[c] -= weights[static_cast<size_t>(c)];
      }
    }
    pivot[j] = sigma;
    // The next pivot row by itself: the sums are over the rows below it.
    const int64_t below = rows - j - 1;
    if (below > 0) {
      kernels.reflect_panel(1, j, scale, weights.data(), pivot + kColumns, sums.data());
      kernels.reflect_panel(below - 1, j, scale, weights.data(), pivot + 2 * kColumns, sums.data());
    }
    // T(0:j, j) = -tau T(0:j, 0:j) V'v.
    for (int64_t r = 0; r < j; ++r) {
      double sum = 0;
      for (int64_t c = r; c < j; ++c) {
        sum += factor[r * kColumns + c] * factor[c * kColumns + j];
      }
      factor[r * kColumns + j] = -tau * sum;
    }
    factor[j * kColumns + j] = tau;
  }
}

// The reflectors alone: 1 on their diagonal, 0 above it.
std::vector<double> ReflectorsOf(int64_t rows, const double* panel) {
  std::vector<double> v(panel, panel + rows * kColumns);
  for (int64_t i = 0; i < std::min(rows, kColumns); ++i) {
    v[static_cast<size_t>(i * kColumns + i)] = 1;
    for (int64_t c = i + 1; c < kColumns; ++c) {
      v[static_cast<size_t>(i * kColumns + c)] = 0;
    }
  }
  return v;
}

// out = A V for a symmetric A (size x size, column-major, lower triangle), tile by tile: each is
// used for both of its places while it is in the cache.
void MultiplySymmetric(const LaneKernels& kernels, int64_t size, const double* a, int64_t stride,
                       const double* v, double* out) {
  std::fill_n(out, size * kColumns, 0.0);
  std::array<double, kTile * kTile> diagonal;
  for (int64_t j = 0; j < size; j += kTile) {
    const int64_t columns = std::min(kTile, size - j);
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t r = c; r < columns; ++r) {
        const double value = a[(j + r) + (j + c) * stride];
        diagonal[static_cast<size_t>(r + c * kTile)] = value;
        diagonal[static_cast<size_t>(c + r * kTile)] = value;
      }
    }
    kernels.add_product(columns, columns, {diagonal.data(), 1, kTile}, v + j * kColumns,
                        out + j * kColumns);
    for (int64_t i = j + kTile; i < size; i += kTile) {
      const int64_t rows = std::min(kTile, size - i);
      const double* const tile = a + i + j * stride;
      kernels.add_product(rows, columns, {tile, 1, stride}, v + j * kColumns, out + i * kColumns);
      kernels.add_product(columns, rows, {tile, stride, 1}, v + i * kColumns, out + j * kColumns);
    }
  }
}

// Storage of one block's step, reused by the next.
struct Work {
  explicit Work(int64_t size)
      : panel(Allocate(size * kColumns)),
        product(Allocate(size * kColumns)),
        update(Allocate(size * kColumns)),
        left(Allocate((size + kStripRows) * 2 * kColumns)),
        right(Allocate(size * 2 * kColumns)) {}
  Buffer panel;
  Buffer product;
  Buffer update;
  Buffer left;
  Buffer right;
};

// A -> (I - V T' V') A (I - V T V') = A - V W' - W V' with Y = A V T, M = T' V'Y, W = Y - V M / 2.
void ReflectTrailing(const LaneKernels& kernels, int64_t size, const BandForm::Block& block,
                     double* a, int64_t stride, Work& work) {
  const double* const v = block.v.data();
  const double* const t = block.factor.data();
  MultiplySymmetric(kernels, size, a, stride, v, work.product.get());
  double* const w = work.update.get();
  std::fill_n(w, size * kColumns, 0.0);
  kernels.add_product(size, kColumns, {work.product.get(), kColumns, 1}, t, w);  // Y
  Square gram{};                                                                 // V'Y
  kernels.add_product(kColumns, size, {v, 1, kColumns}, w, gram.data());
  Square middle{};  // T' V'Y
  kernels.add_product(kColumns, kColumns, {t, 1, kColumns}, gram.data(), middle.data());
  for (double& value : middle) {
    value *= -0.5;
  }
  kernels.add_product(size, kColumns, {v, kColumns, 1}, middle.data(), w);
  constexpr int64_t kDepth = 2 * kColumns;
  double* const left = work.left.get();
  double* const right = work.right.get();
  std::fill_n(left + (size / kStripRows) * kStripRows * kDepth, kStripRows * kDepth, 0.0);
  for (int64_t i = 0; i < size; ++i) {
    double* const strip = left + (i / kStripRows) * kStripRows * kDepth + i % kStripRows;
    for (int64_t c = 0; c < kColumns; ++c) {
      strip[c * kStripRows] = v[i * kColumns + c];
      strip[(kColumns + c) * kStripRows] = w[i * kColumns + c];
      right[i * kDepth + c] = w[i * kColumns + c];
      right[i * kDepth + kColumns + c] = v[i * kColumns + c];
    }
  }
  kernels.subtract_rank_update(size, kDepth, left, right, a, stride);
}

double& BandEntry(BandForm& form, int64_t i, int64_t j) {
  return form.band[static_cast<size_t>(i + j * (kBandStride - 1))];
}

}  // namespace

BandForm ReduceToBand(const Matrix& matrix, double scale, const LaneKernels& kernels) {
  const int64_t dimension = matrix.rows();
  BandForm form;
  form.dimension = dimension;
  form.band.assign(static_cast<size_t>((dimension + kColumns) * kBandStride), 0.0);
  // Whole strips a column, and no pages between columns, which would share places in a cache.
  constexpr int64_t kPage = 512;
  const int64_t strips = (dimension + kStripRows - 1) / kStripRows * kStripRows;
  const int64_t stride = strips % kPage == 0 ? strips + kStripRows : strips;
  const Buffer a = Allocate(stride * dimension + kStripRows);
  for (int64_t j = 0; j < dimension; ++j) {
    for (int64_t i = j; i < dimension; ++i) {
      a[static_cast<size_t>(i + j * stride)] = scale * matrix(i, j);
    }
  }
  Work work(dimension);
  int64_t k = 0;
  for (; dimension - (k + kColumns) > 1; k += kColumns) {
    const int64_t first = k + kColumns;
    const int64_t rows = dimension - first;
    double* const panel = work.panel.get();
    for (int64_t c = 0; c < kColumns; ++c) {
      const double* const column = a.get() + first + (k + c) * stride;
      for (int64_t i = 0; i < rows; ++i) {
        panel[i * kColumns + c] = column[i];
      }
    }
    BandForm::Block block;
    block.first_row = first;
    block.factor.resize(static_cast<size_t>(kColumns * kColumns));
    FactorPanel(kernels, rows, panel, block.factor.data());
    block.v = ReflectorsOf(rows, panel);
    for (int64_t c = 0; c < kColumns; ++c) {
      for (int64_t i = c; i < kColumns; ++i) {
        BandEntry(form, k + i, k + c) = a[static_cast<size_t>((k + i) + (k + c) * stride)];
      }
      for (int64_t i = 0; i <= std::min(c, rows - 1); ++i) {
        BandEntry(form, first + i, k + c) = panel[i * kColumns + c];
      }
    }
    ReflectTrailing(kernels, rows, block, a.get() + first + first * stride, stride, work);
    form.blocks.push_back(std::move(block));
  }
  for (int64_t j = k; j < dimension; ++j) {
    for (int64_t i = j; i < dimension; ++i) {
      BandEntry(form, i, j) = a[static_cast<size_t>(i + j * stride)];
    }
  }
  return form;
}

}  // namespace polyak::engine
