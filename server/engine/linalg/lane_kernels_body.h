// Included by one source a width of registers, which sets kRows, kGroups, kStrips and kColumns: how
// many registers hold sums at a time. No header of the standard library may be included here: an
// inline function of it compiled for wide registers could end up in the whole program.
//
// What these functions are: lane_kernels.h.

#pragma once

#include "server/engine/linalg/lane_kernels.h"
#include "server/engine/linalg/lanes_body.h"

// Each source that includes this must have code of its own, for its own registers.
// NOLINTBEGIN(google-build-namespaces,misc-definitions-in-headers)
namespace polyak::engine {
namespace {

template <int rows, int groups>
void AddProductTile(int64_t steps, const StridedMatrix& a, const double* panel, double* out) {
  Lanes sums[rows][groups];
  for (int r = 0; r < rows; ++r) {
    for (int g = 0; g < groups; ++g) {
      sums[r][g] = Load(out + r * kPanelColumns + g * kLanes);
    }
  }
  const double* column = a.values;
  for (int64_t s = 0; s < steps; ++s, column += a.column_stride, panel += kPanelColumns) {
    Lanes row[groups];
    for (int g = 0; g < groups; ++g) {
      row[g] = Load(panel + g * kLanes);
    }
    for (int r = 0; r < rows; ++r) {
      const double factor = column[r * a.row_stride];
      for (int g = 0; g < groups; ++g) {
        Add(factor, row[g], sums[r][g]);
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int g = 0; g < groups; ++g) {
      Store(sums[r][g], out + r * kPanelColumns + g * kLanes);
    }
  }
}

inline void AddProduct(int64_t rows, int64_t steps, StridedMatrix a, const double* panel,
                       double* out) {
  for (int g = 0; g < kPanelLanes; g += kGroups) {
    StridedMatrix part = a;
    int64_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      part.values = a.values + r * a.row_stride;
      AddProductTile<kRows, kGroups>(steps, part, panel + g * kLanes,
                                     out + r * kPanelColumns + g * kLanes);
    }
    for (; r < rows; ++r) {
      part.values = a.values + r * a.row_stride;
      AddProductTile<1, kGroups>(steps, part, panel + g * kLanes,
                                 out + r * kPanelColumns + g * kLanes);
    }
  }
}

template <int strips, int columns>
void SubtractTile(int64_t depth, const double* left, const double* right, double* a,
                  int64_t stride) {
  Lanes sums[columns][strips] = {};
  for (int64_t k = 0; k < depth; ++k) {
    Lanes rows[strips];
    for (int s = 0; s < strips; ++s) {
      rows[s] = Load(left + (s * depth + k) * kStripRows);
    }
    for (int c = 0; c < columns; ++c) {
      const double factor = right[c * depth + k];
      for (int s = 0; s < strips; ++s) {
        Add(factor, rows[s], sums[c][s]);
      }
    }
  }
  for (int c = 0; c < columns; ++c) {
    for (int s = 0; s < strips; ++s) {
      Lanes entries = Load(a + c * stride + s * kStripRows);
      Subtract(1, sums[c][s], entries);
      Store(entries, a + c * stride + s * kStripRows);
    }
  }
}

template <int columns>
void SubtractColumns(int64_t first_strip, int64_t last_strip, int64_t depth, const double* left,
                     const double* right, double* a, int64_t stride) {
  int64_t s = first_strip;
  for (; s + kStrips <= last_strip; s += kStrips) {
    SubtractTile<kStrips, columns>(depth, left + s * depth * kStripRows, right, a + s * kStripRows,
                                   stride);
  }
  for (; s < last_strip; ++s) {
    SubtractTile<1, columns>(depth, left + s * depth * kStripRows, right, a + s * kStripRows,
                             stride);
  }
}

inline void SubtractRankUpdate(int64_t size, int64_t depth, const double* left, const double* right,
                               double* a, int64_t stride) {
  constexpr int64_t kBlockStrips = 96;  // whose left sides stay in the second cache
  const int64_t strips = (size + kStripRows - 1) / kStripRows;
  for (int64_t block = 0; block < strips; block += kBlockStrips) {
    const int64_t end = block + kBlockStrips < strips ? block + kBlockStrips : strips;
    const int64_t columns = end * kStripRows < size ? end * kStripRows : size;
    int64_t j = 0;
    for (; j + kColumns <= columns; j += kColumns) {
      const int64_t diagonal = j / kStripRows;
      SubtractColumns<kColumns>(diagonal > block ? diagonal : block, end, depth, left,
                                right + j * depth, a + j * stride, stride);
    }
    for (; j < columns; ++j) {
      const int64_t diagonal = j / kStripRows;
      SubtractColumns<1>(diagonal > block ? diagonal : block, end, depth, left, right + j * depth,
                         a + j * stride, stride);
    }
  }
}

inline void ReflectPanel(int64_t rows, int64_t column, double scale, const double* weights,
                         double* first, double* sums) {
  const int64_t next = column + 1 < kPanelColumns ? column + 1 : column;
  Lanes weight[kPanelLanes];
  Lanes sum[kPanelLanes] = {};
  for (int g = 0; g < kPanelLanes; ++g) {
    weight[g] = Load(weights + g * kLanes);
  }
  double* row = first;
  for (int64_t i = 0; i < rows; ++i, row += kPanelColumns) {
    const double v = scale * row[column];
    Lanes entries[kPanelLanes];
    for (int g = 0; g < kPanelLanes; ++g) {
      entries[g] = Load(row + g * kLanes);
      Subtract(v, weight[g], entries[g]);
      Store(entries[g], row + g * kLanes);
    }
    row[column] = v;
    const double x = row[next];
    for (int g = 0; g < kPanelLanes; ++g) {
      Add(x, entries[g], sum[g]);
    }
  }
  for (int g = 0; g < kPanelLanes; ++g) {
    Store(sum[g], sums + g * kLanes);
  }
  // What was summed is that column as it was before.
  sums[column] *= scale;
}

// The reflector I - tau v v' with v(0) = 1 that takes x to (sigma, 0, ..), left in v; x is 0 beyond
// its length.  Returns sigma.
inline double MakeReflector(const Lanes* x, double* v, double* tau) {
  Lanes squares = {};
  for (int g = 0; g < kPanelLanes; ++g) {
    AddProductOf(x[g], x[g], squares);
  }
  const double alpha = x[0][0];
  const double norm = __builtin_sqrt(SumOf(squares));
  for (int g = 0; g < kPanelLanes; ++g) {
    Store(Lanes{}, v + g * kLanes);
  }
  v[0] = 1;
  *tau = 0;
  if (norm < kLeastColumn) {
    return alpha;
  }
  const double sigma = alpha < 0 ? norm : -norm;
  const double scale = 1 / (alpha - sigma);
  for (int g = 0; g < kPanelLanes; ++g) {
    Lanes scaled = x[g];
    Scale(scale, scaled);
    Store(scaled, v + g * kLanes);
  }
  v[0] = 1;
  *tau = (sigma - alpha) / sigma;
  return sigma;
}

inline double MakeReflectorOf(const double* x, double* v, double* tau) {
  Lanes lanes[kPanelLanes];
  for (int g = 0; g < kPanelLanes; ++g) {
    lanes[g] = Load(x + g * kLanes);
  }
  return MakeReflector(lanes, v, tau);
}

inline void ChaseBlock(double tau, const double* v, double* e, int64_t stride, double* next,
                       double* next_tau) {
  Lanes product[kPanelLanes] = {};
  for (int64_t c = 0; c < kPanelColumns; ++c) {
    for (int g = 0; g < kPanelLanes; ++g) {
      Add(v[c], Load(e + c * stride + g * kLanes), product[g]);
    }
  }
  Lanes first[kPanelLanes];
  for (int g = 0; g < kPanelLanes; ++g) {
    Scale(tau, product[g]);
    first[g] = Load(e + g * kLanes);
    Subtract(1, product[g], first[g]);  // v(0) = 1
  }
  const double sigma = MakeReflector(first, next, next_tau);
  for (int g = 0; g < kPanelLanes; ++g) {
    first[g] = Lanes{};
  }
  first[0].pieces[0][0] = sigma;
  for (int g = 0; g < kPanelLanes; ++g) {
    Store(first[g], e + g * kLanes);
  }
  Lanes reflector[kPanelLanes];
  for (int g = 0; g < kPanelLanes; ++g) {
    reflector[g] = Load(next + g * kLanes);
  }
  for (int64_t c = 1; c < kPanelColumns; ++c) {
    Lanes column[kPanelLanes];
    Lanes dot = {};
    for (int g = 0; g < kPanelLanes; ++g) {
      column[g] = Load(e + c * stride + g * kLanes);
      Subtract(v[c], product[g], column[g]);
      AddProductOf(column[g], reflector[g], dot);
    }
    const double factor = *next_tau * SumOf(dot);
    for (int g = 0; g < kPanelLanes; ++g) {
      Subtract(factor, reflector[g], column[g]);
      Store(column[g], e + c * stride + g * kLanes);
    }
  }
}

inline void ReflectBlock(double tau, const double* v, double* a, int64_t stride) {
  // The whole block, both triangles.
  double whole[kPanelColumns * kPanelColumns];
  for (int64_t c = 0; c < kPanelColumns; ++c) {
    for (int64_t r = c; r < kPanelColumns; ++r) {
      whole[c * kPanelColumns + r] = a[c * stride + r];
      whole[r * kPanelColumns + c] = a[c * stride + r];
    }
  }
  Lanes product[kPanelLanes] = {};
  for (int64_t c = 0; c < kPanelColumns; ++c) {
    for (int g = 0; g < kPanelLanes; ++g) {
      Add(v[c], Load(whole + c * kPanelColumns + g * kLanes), product[g]);
    }
  }
  Lanes form = {};
  for (int g = 0; g < kPanelLanes; ++g) {
    Scale(tau, product[g]);
    AddProductOf(product[g], Load(v + g * kLanes), form);
  }
  const double half = 0.5 * tau * SumOf(form);
  double w[kPanelColumns];
  for (int g = 0; g < kPanelLanes; ++g) {
    Subtract(half, Load(v + g * kLanes), product[g]);
    Store(product[g], w + g * kLanes);
  }
  for (int64_t c = 0; c < kPanelColumns; ++c) {
    for (int g = 0; g < kPanelLanes; ++g) {
      Lanes entries = Load(whole + c * kPanelColumns + g * kLanes);
      Subtract(w[c], Load(v + g * kLanes), entries);
      Subtract(v[c], product[g], entries);
      Store(entries, whole + c * kPanelColumns + g * kLanes);
    }
    for (int64_t r = c; r < kPanelColumns; ++r) {
      a[c * stride + r] = whole[c * kPanelColumns + r];
    }
  }
}

// x, or 0 where it is smaller than `least` in size; NaN stays.
inline Piece FlushBelow(double least, const Piece& x) {
  return x < least && x > -least ? Piece{} : x;
}

// One step of eight coordinates.
inline void Move(const StepFactors& factors, const Lanes& gradient, Lanes& memory, Lanes& v) {
  for (int p = 0; p < kPieces; ++p) {
    const Piece moved = factors.momentum * memory.pieces[p] + gradient.pieces[p];
    memory.pieces[p] = FlushBelow(kLeastMemory, moved);
    v.pieces[p] =
        FlushBelow(kLeastCoordinate,
                   v.pieces[p] - factors.step_size * (factors.gradient_weight * gradient.pieces[p] +
                                                      factors.memory_weight * memory.pieces[p]));
  }
}

inline Lanes Product(const Lanes& x, const Lanes& y) {
  Lanes product;
  for (int p = 0; p < kPieces; ++p) {
    product.pieces[p] = x.pieces[p] * y.pieces[p];
  }
  return product;
}

inline PointSums DiagonalStep(int64_t size, const StepFactors& factors, const double* h,
                              double* memory, double* v) {
  const StepFactors local = factors;
  Lanes form = {};
  Lanes squares = {};
  for (int64_t i = 0; i < size; i += kLanes) {
    const Lanes slope = Load(h + i);
    Lanes point = Load(v + i);
    Lanes momentum = Load(memory + i);
    Move(local, Product(slope, point), momentum, point);
    Store(momentum, memory + i);
    Store(point, v + i);
    AddProductOf(Product(slope, point), point, form);
    AddProductOf(point, point, squares);
  }
  return {SumOf(form), SumOf(squares)};
}

inline PointSums DiagonalSums(int64_t size, const double* h, const double* v) {
  Lanes form = {};
  Lanes squares = {};
  for (int64_t i = 0; i < size; i += kLanes) {
    const Lanes point = Load(v + i);
    AddProductOf(Product(Load(h + i), point), point, form);
    AddProductOf(point, point, squares);
  }
  return {SumOf(form), SumOf(squares)};
}

inline PointSums TridiagonalProduct(int64_t size, const double* diagonal,
                                    const double* off_diagonal, const double* v, double* gradient) {
  Lanes form = {};
  Lanes squares = {};
  for (int64_t i = 0; i < size; i += kLanes) {
    const Lanes point = Load(v + i);
    Lanes slope = Product(Load(diagonal + i), point);
    AddProductOf(Load(off_diagonal + i - 1), Load(v + i - 1), slope);
    AddProductOf(Load(off_diagonal + i), Load(v + i + 1), slope);
    Store(slope, gradient + i);
    AddProductOf(slope, point, form);
    AddProductOf(point, point, squares);
  }
  return {SumOf(form), SumOf(squares)};
}

inline void Step(int64_t size, const StepFactors& factors, const double* gradient, double* memory,
                 double* v) {
  const StepFactors local = factors;
  for (int64_t i = 0; i < size; i += kLanes) {
    Lanes point = Load(v + i);
    Lanes momentum = Load(memory + i);
    Move(local, Load(gradient + i), momentum, point);
    Store(momentum, memory + i);
    Store(point, v + i);
  }
}

inline PointSums GradientSums(int64_t size, const double* minimiser, const double* linear_term,
                              const double* w, double* gradient) {
  Lanes form = {};
  Lanes squares = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    Lanes slope = Load(gradient + i);
    Lanes point = Load(w + i);
    Subtract(1, Load(linear_term + i), slope);
    Subtract(1, Load(minimiser + i), point);
    Store(slope, gradient + i);
    AddProductOf(slope, point, form);
    AddProductOf(point, point, squares);
  }
  if (i < size) {
    double slopes[kLanes] = {};
    double points[kLanes] = {};
    for (int64_t r = 0; i + r < size; ++r) {
      slopes[r] = gradient[i + r] - linear_term[i + r];
      points[r] = w[i + r] - minimiser[i + r];
      gradient[i + r] = slopes[r];
    }
    AddProductOf(Load(slopes), Load(points), form);
    AddProductOf(Load(points), Load(points), squares);
  }
  return {SumOf(form), SumOf(squares)};
}

constexpr LaneKernels KernelsCalled(const char* name) {
  return {name,
          AddProduct,
          SubtractRankUpdate,
          ReflectPanel,
          ChaseBlock,
          MakeReflectorOf,
          ReflectBlock,
          DiagonalStep,
          DiagonalSums,
          TridiagonalProduct,
          Step,
          GradientSums};
}

}  // namespace
}  // namespace polyak::engine
// NOLINTEND(google-build-namespaces,misc-definitions-in-headers)
