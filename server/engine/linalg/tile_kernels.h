#pragma once

#include <cstdint>

#include "server/engine/linalg/lane_kernels.h"

namespace polyak::engine {

// Rows of a tile, and of a strip.
inline constexpr int64_t kTileRows = kLaneDoubles;
// Columns of a panel at most.
inline constexpr int64_t kPanelColumnsMax = 32;

// A part of one panel of a TiledMatrix: `strips` tiles, one below the other.
//   columns: of the panel: a multiple of kTileRows, kPanelColumnsMax at most. Entry (i, j) is at
//   (i / 8) 8 columns + 8 j + i % 8.
struct PanelShape {
  int64_t strips;
  int64_t columns;
};

// Tiles that lie as those which are moved, and are moved after them: asked for from memory
// meanwhile. Nothing depends on them.
struct NextTiles {
  const double* tiles;
  const double* memory;  // null for a method without memory
};

// What moves the weights W of a panel: the gradient is left slope', never stored.
struct TileMove {
  StepFactors factors;
  int64_t depth;        // columns of left and slope
  const double* left;   // (8 strips x depth) in strips
  const double* slope;  // (columns x depth) in strips
  double* memory;       // M, like W; null for a method without memory
  NextTiles next;
};

// Inner loops that fuse, most of them over panels. A "matrix in strips" of k columns has entry
// (i, c) at (i / 8) 8 k + 8 c + i % 8. Written with eight doubles at a time and compiled for
// several widths of registers. Each multiplication is fused with the addition that follows it where
// the processor can (every version but the narrowest), and every sum has one order, so all versions
// that fuse give the same bits.
struct TileKernels {
  const char* name;
  bool fused;

  // out += W right: each entry a sum over the columns of the panel in their order.
  //   right: (columns x width) in strips.   out: (8 strips x width) in strips.
  void (*add_product)(PanelShape shape, const double* tiles, int64_t width, const double* right,
                      double* out);

  // out = W' left: eight sums an entry, over the rows i = l (mod 8) in their order, which are then
  // added in a fixed order.
  //   left: (8 strips x width) in strips.   out: (columns x width) in strips.
  void (*transposed_product)(PanelShape shape, const double* tiles, int64_t width,
                             const double* left, double* out);

  // g = left slope', summed over the depth in its order; M = momentum M + g; W -= step_size M, or,
  // with a gradient_weight, W -= step_size (gradient_weight g + memory_weight M), or, without
  // memory, W -= step_size g.
  void (*move)(PanelShape shape, const TileMove& move, double* tiles);

  // The neurons of one strip, for `examples` examples. No branches: which neurons are active is not
  // to be predicted.   outputs: (8) s; activations: z (examples x 8).

  // sums (examples x 8) += s max(0, z), rounded twice; NaN is no dead neuron.
  void (*add_outputs)(int64_t examples, const double* outputs, const double* activations,
                      double* sums);
  // slopes (examples x 8) = s xi where z > 0, else 0.   residual: xi (examples).
  void (*take_slopes)(int64_t examples, const double* outputs, const double* activations,
                      const double* residual, double* slopes);

  // Of a matrix that lies in no tiles.

  // products[c] = matrix vectors[c] for `count` vectors at once: each entry the sum over the
  // matrix's columns in their order, whatever `count` is, so that a vector has the same bits alone
  // and among others. Matrices smaller than eight rows are rounded twice everywhere.
  //   matrix: size x size, column-major.   vectors, products: `count` places of `size` doubles
  //   each.
  void (*matrix_products)(int64_t size, const double* matrix, int64_t count,
                          const double* const* vectors, double* const* products);
};

// The widest that this processor has.
const TileKernels& WidestTileKernels();
// Every version that this processor has, the narrowest first: version 0, 1, ..; null beyond them.
const TileKernels* TileKernelsVersion(int version);

// Not to be used but by way of the functions above: a processor without such registers stops.
extern const TileKernels kTileKernels128;
extern const TileKernels kTileKernels256;
extern const TileKernels kTileKernels512;

}  // namespace polyak::engine
