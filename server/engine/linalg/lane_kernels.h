#pragma once

#include <cstdint>

namespace polyak::engine {

// Columns of a panel: a block of as many vectors that are worked on together, stored row by row.
inline constexpr int64_t kPanelColumns = 32;
// Rows of a strip of SubtractRankUpdate.
inline constexpr int64_t kStripRows = 8;

// Doubles that are worked on at a time.
inline constexpr int64_t kLaneDoubles = 8;

// A strided matrix: entry (i, k) is values[i * row_stride + k * column_stride].
struct StridedMatrix {
  const double* values;
  int64_t row_stride;
  int64_t column_stride;
};

// M = momentum M + g; v -= step_size (gradient_weight g + memory_weight M).
struct StepFactors {
  double step_size;
  double momentum;
  double gradient_weight;
  double memory_weight;
};

// A coordinate whose square is not a normal number becomes 0, and so does memory far below any that
// could move it: processors take a hundred times as long for numbers beyond the normal ones, which
// a run that goes on after it has converged would be left with.
inline constexpr double kLeastCoordinate = 0x1p-511;
inline constexpr double kLeastMemory = 0x1p-960;

// Columns to be annihilated of a matrix of size 1 that are this short are taken for 0: their
// squares are not normal numbers, and a reflector made of them would not be orthogonal.
inline constexpr double kLeastColumn = 0x1p-480;

// What is known of a point v with gradient g.
struct PointSums {
  double form;     // v'g
  double squares;  // v'v
};

// Inner loops, written with eight doubles at a time and compiled for several widths of the
// processor's registers. Every version does the same additions and multiplications of the same
// numbers in the same order, none of them fused: the bits do not depend on which one runs.
struct LaneKernels {
  const char* name;

  // out += a panel.  a: rows x steps; panel: steps x kPanelColumns; out: rows x kPanelColumns, each
  // entry the sum over the steps in their order.
  void (*add_product)(int64_t rows, int64_t steps, StridedMatrix a, const double* panel,
                      double* out);

  // a -= left right' in the lower triangle of a square matrix; what is above the diagonal within a
  // group of columns may change as well.
  //   a: column-major, size x size; column j begins at a + j stride, each with room for whole
  //   strips.   left: in strips, left[(strip depth + k) kStripRows + row], rows beyond size 0.
  //   right: size x depth, row by row.
  void (*subtract_rank_update)(int64_t size, int64_t depth, const double* left, const double* right,
                               double* a, int64_t stride);

  // One reflector of the QR factorisation of a panel, stored row by row: rows below the pivot row
  // become those of the panel after the reflection, with the reflector in column `column`; and sums
  // of the next column times all are taken on the way.
  //   first: the first row below the pivot row; rows: how many.   scale: 1 / (alpha - sigma).
  //   weights: (kPanelColumns) tau v'P, 0 up to `column`.   sums: (kPanelColumns) gets
  //   sum_i p(i, column + 1) p(i, :) over these rows, if column + 1 < kPanelColumns.
  void (*reflect_panel)(int64_t rows, int64_t column, double scale, const double* weights,
                        double* first, double* sums);

  // The chase of one bulge by one block, kPanelColumns = b wide (see ChaseBulges):
  //   e: b x b block below the diagonal block just reflected, column-major with `stride`.
  //   e -= tau (e v) v'; then the reflector (next, next_tau) that annihilates its first column but
  //   for the first entry is made and applied from the left.
  void (*chase_block)(double tau, const double* v, double* e, int64_t stride, double* next,
                      double* next_tau);

  // The reflector I - tau v v', v(0) = 1, that takes x to (sigma, 0, ..); both of length b.
  // Returns sigma.
  double (*make_reflector)(const double* x, double* v, double* tau);

  // a -> (I - tau v v') a (I - tau v v'), a symmetric b x b block, lower triangle, column-major.
  void (*reflect_block)(double tau, const double* v, double* a, int64_t stride);

  // Of one iteration. size: a multiple of kLaneDoubles, reached by zeros in every vector.

  // g = h o v: moves v and M one step, and returns the sums at the new v.
  PointSums (*diagonal_step)(int64_t size, const StepFactors& factors, const double* h,
                             double* memory, double* v);
  PointSums (*diagonal_sums)(int64_t size, const double* h, const double* v);
  // gradient = T v for a tridiagonal T, with the sums at v.
  //   off_diagonal: entry i couples i and i + 1; its place -1 must hold 0, and so must those of v
  //   before the first and after the last.
  PointSums (*tridiagonal_product)(int64_t size, const double* diagonal, const double* off_diagonal,
                                   const double* v, double* gradient);
  void (*step)(int64_t size, const StepFactors& factors, const double* gradient, double* memory,
               double* v);

  // gradient -= b; returns the sums at v = w - w*.  Any size, no padding.
  PointSums (*gradient_sums)(int64_t size, const double* minimiser, const double* linear_term,
                             const double* w, double* gradient);
};

// The widest that this processor has.
const LaneKernels& WidestKernels();
// Every version that this processor has, the narrowest first: version 0, 1, ..; null beyond them.
const LaneKernels* KernelsVersion(int version);

// Not to be used but by way of the functions above: a processor without such registers stops.
extern const LaneKernels kKernels128;
extern const LaneKernels kKernels256;
extern const LaneKernels kKernels512;

}  // namespace polyak::engine
