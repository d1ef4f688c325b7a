// Products of one matrix with one or more vectors. Included by tile_kernels_body.h, and as free of
// other headers; the source sets kVectorGroups and kVectorColumns: how many registers hold sums at
// a time.
//
// What these functions are: tile_kernels.h.

#pragma once

#include "server/engine/linalg/fused_lanes_body.h"
#include "server/engine/linalg/lanes_body.h"

// NOLINTBEGIN(google-build-namespaces,misc-definitions-in-headers)
namespace polyak::engine {
namespace {

// Some steps of the sums of `groups` times eight rows, for `columns` vectors.
//   matrix: the first of these rows in the first of these steps.   vectors: at that step.
//   products: at that row.   begins: the sums so far are 0.
template <int groups, int columns>
void ProductTile(int64_t steps, const double* matrix, int64_t stride, bool begins,
                 const double* const* vectors, double* const* products) {
  Lanes sums[columns][groups] = {};
  if (!begins) {
    for (int c = 0; c < columns; ++c) {
      for (int g = 0; g < groups; ++g) {
        sums[c][g] = Load(products[c] + g * kLanes);
      }
    }
  }
  const double* sources[columns];
  for (int c = 0; c < columns; ++c) {
    sources[c] = vectors[c];
  }
  for (int64_t s = 0; s < steps; ++s, matrix += stride) {
    Lanes rows[groups];
    for (int g = 0; g < groups; ++g) {
      rows[g] = Load(matrix + g * kLanes);
    }
    for (int c = 0; c < columns; ++c) {
      const Piece factor = Broadcast(sources[c][s]);
      for (int g = 0; g < groups; ++g) {
        AddFused(factor, rows[g], sums[c][g]);
      }
    }
  }
  for (int c = 0; c < columns; ++c) {
    for (int g = 0; g < groups; ++g) {
      Store(sums[c][g], products[c] + g * kLanes);
    }
  }
}

// A block of the matrix's columns: what they add to the sums of every vector.
struct ProductBlock {
  int64_t size;
  const double* matrix;
  int64_t first;  // column
  int64_t steps;
};

// The rows that make no group of eight. Their place in a register is filled from the next column,
// which follows in memory, and in the last column by nothing; what comes of that is not kept.
template <int columns>
void ProductOfLastRows(const ProductBlock& block, int64_t row, const double* const* vectors,
                       double* const* products) {
  const int64_t count = block.size - row;
  double sums[columns][kLanes] = {};
  double* places[columns];
  for (int c = 0; c < columns; ++c) {
    places[c] = sums[c];
    for (int64_t r = 0; r < count; ++r) {
      sums[c][r] = block.first == 0 ? 0 : products[c][row + r];
    }
  }
  const double* matrix = block.matrix + block.first * block.size + row;
  const bool has_last_column = block.first + block.steps == block.size;
  const int64_t steps = has_last_column ? block.steps - 1 : block.steps;
  ProductTile<1, columns>(steps, matrix, block.size, false, vectors, places);
  if (has_last_column) {
    double last[kLanes] = {};
    for (int64_t r = 0; r < count; ++r) {
      last[r] = matrix[steps * block.size + r];
    }
    const double* rest[columns];
    for (int c = 0; c < columns; ++c) {
      rest[c] = vectors[c] + steps;
    }
    ProductTile<1, columns>(1, last, 0, false, rest, places);
  }
  for (int c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < count; ++r) {
      products[c][row + r] = sums[c][r];
    }
  }
}

// Groups of rows from `row` on, in the steps of a block.
struct ProductRows {
  int64_t row;
  const double* matrix;
  int64_t stride;
};

// `groups` groups of rows, or the last ones for 0, for `columns` vectors.
template <int groups, int columns>
void ProductOfRows(const ProductBlock& block, const ProductRows& rows, const double* const* vectors,
                   double* const* products) {
  const double* sources[columns];
  double* places[columns];
  for (int c = 0; c < columns; ++c) {
    sources[c] = vectors[c] + block.first;
    places[c] = products[c] + rows.row;
  }
  if constexpr (groups == 0) {
    ProductOfLastRows<columns>(block, rows.row, sources, products);
  } else {
    ProductTile<groups, columns>(block.steps, rows.matrix, rows.stride, block.first == 0, sources,
                                 places);
  }
}

// The vectors that are fewer than a tile has.
template <int groups, int columns>
void ProductOfRest(const ProductBlock& block, const ProductRows& rows, int64_t count,
                   const double* const* vectors, double* const* products) {
  if constexpr (columns > 0) {
    if (count == columns) {
      ProductOfRows<groups, columns>(block, rows, vectors, products);
    } else {
      ProductOfRest<groups, columns - 1>(block, rows, count, vectors, products);
    }
  }
}

template <int groups>
void ProductOfAll(const ProductBlock& block, const ProductRows& rows, int64_t count,
                  const double* const* vectors, double* const* products) {
  int64_t c = 0;
  for (; c + kVectorColumns <= count; c += kVectorColumns) {
    ProductOfRows<groups, kVectorColumns>(block, rows, vectors + c, products + c);
  }
  ProductOfRest<groups, kVectorColumns - 1>(block, rows, count - c, vectors + c, products + c);
}

// Matrices up to this size stay in the second cache.
constexpr int64_t kSmallSize = 512;
// Steps of a block at most, where several vectors share it.
constexpr int64_t kSharedSteps = 128;

// As many rows from `row` on as tiles of this size take; returns the first that is left.
template <int groups>
int64_t ProductOfTiles(const ProductBlock& block, int64_t row, int64_t count,
                       const double* const* vectors, double* const* products) {
  constexpr int64_t kRows = groups * kLanes;
  // What many vectors are multiplied by is copied into the first cache where columns are a page
  // each.
  constexpr int64_t kCopiedCount = 32;
  alignas(kPieceBytes) double copy[kRows * kSharedSteps];
  for (; row + kRows <= block.size; row += kRows) {
    ProductRows rows = {row, block.matrix + block.first * block.size + row, block.size};
    if (block.size > kSmallSize && count >= kCopiedCount) {
      for (int64_t s = 0; s < block.steps; ++s) {
        for (int g = 0; g < groups; ++g) {
          Store(Load(rows.matrix + s * rows.stride + g * kLanes), copy + s * kRows + g * kLanes);
        }
      }
      rows = {row, copy, kRows};
    }
    ProductOfAll<groups>(block, rows, count, vectors, products);
  }
  return row;
}

template <int groups>
void ProductOfBlock(const ProductBlock& block, int64_t count, const double* const* vectors,
                    double* const* products) {
  int64_t row = ProductOfTiles<groups>(block, 0, count, vectors, products);
  row = ProductOfTiles<(groups + 1) / 2>(block, row, count, vectors, products);
  row = ProductOfTiles<1>(block, row, count, vectors, products);
  if (row < block.size && block.steps == block.size) {
    // The sums are made in one go, so that some may be made twice.
    const int64_t last = block.size - kLanes;
    ProductOfAll<1>(block, {last, block.matrix + last, block.size}, count, vectors, products);
  } else if (row < block.size) {
    ProductOfAll<0>(block, {row, nullptr, 0}, count, vectors, products);
  }
}

// The same sums for matrices smaller than a register.
inline void SmallProducts(int64_t size, const double* matrix, int64_t count,
                          const double* const* vectors, double* const* products) {
  for (int64_t c = 0; c < count; ++c) {
    for (int64_t r = 0; r < size; ++r) {
      double sum = 0;
      for (int64_t s = 0; s < size; ++s) {
        sum += matrix[s * size + r] * vectors[c][s];
      }
      products[c][r] = sum;
    }
  }
}

template <int groups>
void ProductOfVectors(int64_t size, const double* matrix, int64_t steps_max, int64_t count,
                      const double* const* vectors, double* const* products) {
  for (int64_t first = 0; first < size; first += steps_max) {
    const int64_t left = size - first;
    ProductOfBlock<groups>({size, matrix, first, left < steps_max ? left : steps_max}, count,
                           vectors, products);
  }
}

inline void MatrixProducts(int64_t size, const double* matrix, int64_t count,
                           const double* const* vectors, double* const* products) {
  if (size < kLanes) {
    return SmallProducts(size, matrix, count, vectors, products);
  }
  // A small matrix stays in the caches, and sums in registers; a large one is read, for one vector,
  // in as many streams as a processor follows, and for many in parts that stay in the first cache.
  constexpr int64_t kSteps = 16;
  constexpr int kGroupsAlone = 8 / kPieces > 1 ? 8 / kPieces : 1;
  if (count == 1) {
    return ProductOfVectors<kGroupsAlone>(size, matrix, size <= kSmallSize ? kSharedSteps : kSteps,
                                          1, vectors, products);
  }
  ProductOfVectors<kVectorGroups>(size, matrix, kSharedSteps, count, vectors, products);
}

}  // namespace
}  // namespace polyak::engine
// NOLINTEND(google-build-namespaces,misc-definitions-in-headers)
