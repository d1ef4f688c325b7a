// Included by one source a width of registers, which defines Fused and sets how many sums are held
// in registers at a time:
//   kProductStrips x kProductColumns   of add_product
//   kMoveStrips x kMoveColumns         of move; the columns divide 8
//   kTransposedColumns x kTransposedWidth   of transposed_product; the columns divide 8
//   kVectorGroups x kVectorColumns   of matrix_products
// None of these changes the order of any sum. What these functions are: tile_kernels.h. No header
// of the standard library may be included here (lane_kernels_body.h).

#pragma once

#include "server/engine/linalg/fused_lanes_body.h"
#include "server/engine/linalg/lanes_body.h"
#include "server/engine/linalg/matrix_products_body.h"
#include "server/engine/linalg/tile_kernels.h"

// NOLINTBEGIN(google-build-namespaces,misc-definitions-in-headers)
namespace polyak::engine {
namespace {

// The tiles are read in the order in which they lie, and asked for so far ahead of their use that
// they have come by then.
constexpr int64_t kAhead = 1024;
inline void Prefetch(const double* values) { __builtin_prefetch(values); }

// Calls Work<size>::Run for groups of `most` and one of what is left of `count`.
template <template <int> class Work, int size, typename... Arguments>
inline void RunRest(int64_t count, int64_t first, const Arguments&... arguments) {
  if constexpr (size > 0) {
    if (count == size) {
      Work<size>::Run(first, arguments...);
    } else {
      RunRest<Work, size - 1>(count, first, arguments...);
    }
  }
}
template <template <int> class Work, int most, typename... Arguments>
inline void RunGroups(int64_t count, const Arguments&... arguments) {
  int64_t first = 0;
  for (; first + most <= count; first += most) {
    Work<most>::Run(first, arguments...);
  }
  RunRest<Work, most - 1>(count - first, first, arguments...);
}

// Columns first .. first + size - 1 of the product, for some strips.
template <int strips>
struct ProductOf {
  template <int size>
  struct Columns {
    static void Run(int64_t first, int64_t columns, const double* tiles, int64_t width,
                    const double* right, double* out) {
      Lanes sums[strips][size];
      double* const begin = out + first * kLanes;
#pragma GCC unroll 16
      for (int s = 0; s < strips; ++s) {
#pragma GCC unroll 16
        for (int c = 0; c < size; ++c) {
          sums[s][c] = Load(begin + (s * width + c) * kLanes);
        }
      }
      const double* factors = right + first * kLanes;
      for (int64_t j = 0; j < columns; j += kLanes, factors += width * kLanes) {
        for (int k = 0; k < kLanes; ++k) {
          Lanes entries[strips];
#pragma GCC unroll 16
          for (int s = 0; s < strips; ++s) {
            entries[s] = Load(tiles + (s * columns + j + k) * kLanes);
          }
          if (first == 0) {
#pragma GCC unroll 16
            for (int s = 0; s < strips; ++s) {
              Prefetch(tiles + (s * columns + j + k) * kLanes + kAhead);
            }
          }
#pragma GCC unroll 16
          for (int c = 0; c < size; ++c) {
            const Piece factor = Broadcast(factors[c * kLanes + k]);
#pragma GCC unroll 16
            for (int s = 0; s < strips; ++s) {
              AddFused(factor, entries[s], sums[s][c]);
            }
          }
        }
      }
#pragma GCC unroll 16
      for (int s = 0; s < strips; ++s) {
#pragma GCC unroll 16
        for (int c = 0; c < size; ++c) {
          Store(sums[s][c], begin + (s * width + c) * kLanes);
        }
      }
    }
  };
};

inline void AddTileProduct(PanelShape shape, const double* tiles, int64_t width,
                           const double* right, double* out) {
  int64_t s = 0;
  for (; s + kProductStrips <= shape.strips; s += kProductStrips) {
    RunGroups<ProductOf<kProductStrips>::template Columns, kProductColumns>(
        width, shape.columns, tiles + s * shape.columns * kLanes, width, right,
        out + s * width * kLanes);
  }
  for (; s < shape.strips; ++s) {
    RunGroups<ProductOf<1>::template Columns, kProductColumns>(
        width, shape.columns, tiles + s * shape.columns * kLanes, width, right,
        out + s * width * kLanes);
  }
}

// What the transposed product is summed into: for each column of the panel, `width` sums of eight
// lanes.
struct TransposedSums {
  double* lanes;
  int64_t width;
};

// Columns first .. first + size - 1 of the transposed product, for kTransposedColumns columns of
// the panel, over some strips.
template <int size>
struct TransposedColumns {
  static void Run(int64_t first, PanelShape shape, const double* tiles, int64_t left_width,
                  const double* left, TransposedSums out) {
    Lanes sums[kTransposedColumns][size];
    double* const begin = out.lanes + first * kLanes;
#pragma GCC unroll 16
    for (int j = 0; j < kTransposedColumns; ++j) {
#pragma GCC unroll 16
      for (int c = 0; c < size; ++c) {
        sums[j][c] = Load(begin + (j * out.width + c) * kLanes);
      }
    }
    const double* rows = left + first * kLanes;
    for (int64_t s = 0; s < shape.strips; ++s, rows += left_width * kLanes) {
      Lanes entries[kTransposedColumns];
#pragma GCC unroll 16
      for (int j = 0; j < kTransposedColumns; ++j) {
        entries[j] = Load(tiles + (s * shape.columns + j) * kLanes);
      }
#pragma GCC unroll 16
      for (int c = 0; c < size; ++c) {
        const Lanes row = Load(rows + c * kLanes);
#pragma GCC unroll 16
        for (int j = 0; j < kTransposedColumns; ++j) {
          AddFused(entries[j], row, sums[j][c]);
        }
      }
    }
#pragma GCC unroll 16
    for (int j = 0; j < kTransposedColumns; ++j) {
#pragma GCC unroll 16
      for (int c = 0; c < size; ++c) {
        Store(sums[j][c], begin + (j * out.width + c) * kLanes);
      }
    }
  }
};

inline void TransposedTileProduct(PanelShape shape, const double* tiles, int64_t width,
                                  const double* left, double* out) {
  // So many strips at a time that their tiles, rows of `left` and sums stay in the first cache.
  constexpr int64_t kBlockStrips = 8;
  constexpr int64_t kGroup = 20;  // columns of `left` at a time
  double sums[kPanelColumnsMax * kGroup * kLanes];
  for (int64_t first = 0; first < width; first += kGroup) {
    const int64_t group = width - first < kGroup ? width - first : kGroup;
    for (int64_t k = 0; k < shape.columns * group; ++k) {
      Store(Lanes{}, sums + k * kLanes);
    }
    for (int64_t s = 0; s < shape.strips; s += kBlockStrips) {
      const int64_t strips = shape.strips - s < kBlockStrips ? shape.strips - s : kBlockStrips;
      const double* const block = tiles + s * shape.columns * kLanes;
      for (int64_t j = 0; j < shape.columns; j += kTransposedColumns) {
        // The next block comes while this one is worked on.
        for (int64_t k = 0; k < kTransposedColumns * kBlockStrips; ++k) {
          Prefetch(block + (kBlockStrips * (shape.columns + j) + k) * kLanes);
        }
        RunGroups<TransposedColumns, kTransposedWidth>(
            group, PanelShape{strips, shape.columns}, block + j * kLanes, width,
            left + (s * width + first) * kLanes, TransposedSums{sums + j * group * kLanes, group});
      }
    }
    for (int64_t j = 0; j < shape.columns; ++j) {
      for (int64_t c = 0; c < group; ++c) {
        out[(j / kLanes * width + first + c) * kLanes + j % kLanes] =
            SumOf(Load(sums + (j * group + c) * kLanes));
      }
    }
  }
}

enum class Memory { kNone, kOfGradients, kAndGradient };

// One tile's columns j .. j + kMoveColumns - 1 for some strips.
template <Memory kind, int strips>
inline void MoveColumns(int64_t columns, const TileMove& move, const double* left,
                        const double* slope, const NextTiles& next, double* memory, double* tiles) {
  Lanes gradient[strips][kMoveColumns] = {};
  // What is moved next is asked for line by line, so that it comes while this is computed.
  constexpr int kLines = strips * kMoveColumns;
  int64_t k = 0;
  for (int line = 0; line < kLines; ++line) {
    const int64_t place = (line / kMoveColumns * columns + line % kMoveColumns) * kLanes;
    Prefetch(next.tiles + place);
    if constexpr (kind != Memory::kNone) {
      Prefetch(next.memory + place);
    }
    for (const int64_t end = move.depth * (line + 1) / kLines; k < end; ++k) {
      Lanes rows[strips];
#pragma GCC unroll 16
      for (int s = 0; s < strips; ++s) {
        rows[s] = Load(left + (s * move.depth + k) * kLanes);
      }
#pragma GCC unroll 16
      for (int c = 0; c < kMoveColumns; ++c) {
        const Piece factor = Broadcast(slope[k * kLanes + c]);
#pragma GCC unroll 16
        for (int s = 0; s < strips; ++s) {
          AddFused(factor, rows[s], gradient[s][c]);
        }
      }
    }
  }
  const Piece momentum = Broadcast(move.factors.momentum);
  const Piece step = Broadcast(-move.factors.step_size);
#pragma GCC unroll 16
  for (int s = 0; s < strips; ++s) {
#pragma GCC unroll 16
    for (int c = 0; c < kMoveColumns; ++c) {
      const int64_t place = (s * columns + c) * kLanes;
      Lanes weights = Load(tiles + place);
      Lanes direction = gradient[s][c];
      if constexpr (kind != Memory::kNone) {
        Lanes moved = gradient[s][c];
        AddFused(momentum, Load(memory + place), moved);
        Store(moved, memory + place);
        direction = moved;
        if constexpr (kind == Memory::kAndGradient) {
          Scale(move.factors.memory_weight, direction);
          AddFused(Broadcast(move.factors.gradient_weight), gradient[s][c], direction);
        }
      }
      AddFused(step, direction, weights);
      Store(weights, tiles + place);
    }
  }
}

template <Memory kind, int strips>
inline void MoveStrips(int64_t columns, const TileMove& move, int64_t strip, double* tiles) {
  const int64_t first = strip * columns * kLanes;
  const double* const left = move.left + strip * move.depth * kLanes;
  for (int64_t j = 0; j < columns; j += kMoveColumns) {
    const int64_t place = first + j * kLanes;
    const double* const slope = move.slope + j / kLanes * move.depth * kLanes + j % kLanes;
    if constexpr (kind == Memory::kNone) {
      MoveColumns<kind, strips>(columns, move, left, slope, {move.next.tiles + place, nullptr},
                                nullptr, tiles + place);
    } else {
      MoveColumns<kind, strips>(columns, move, left, slope,
                                {move.next.tiles + place, move.next.memory + place},
                                move.memory + place, tiles + place);
    }
  }
}

template <Memory kind>
inline void MoveAll(PanelShape shape, const TileMove& move, double* tiles) {
  int64_t s = 0;
  for (; s + kMoveStrips <= shape.strips; s += kMoveStrips) {
    MoveStrips<kind, kMoveStrips>(shape.columns, move, s, tiles);
  }
  for (; s < shape.strips; ++s) {
    MoveStrips<kind, 1>(shape.columns, move, s, tiles);
  }
}

inline void MoveTiles(PanelShape shape, const TileMove& move, double* tiles) {
  if (move.memory == nullptr) {
    MoveAll<Memory::kNone>(shape, move, tiles);
  } else if (move.factors.gradient_weight == 0) {
    MoveAll<Memory::kOfGradients>(shape, move, tiles);
  } else {
    MoveAll<Memory::kAndGradient>(shape, move, tiles);
  }
}

inline void AddOutputs(int64_t examples, const double* outputs, const double* activations,
                       double* sums) {
  const Lanes factors = Load(outputs);
  for (int64_t i = 0; i < examples * kLanes; i += kLanes) {
    const Lanes z = Load(activations + i);
    Lanes sum = Load(sums + i);
    for (int p = 0; p < kPieces; ++p) {
      const Piece output = factors.pieces[p] * z.pieces[p];
      sum.pieces[p] += z.pieces[p] <= 0 ? Piece{} : output;
    }
    Store(sum, sums + i);
  }
}

inline void TakeSlopes(int64_t examples, const double* outputs, const double* activations,
                       const double* residual, double* slopes) {
  const Lanes factors = Load(outputs);
  for (int64_t i = 0; i < examples; ++i) {
    const Lanes z = Load(activations + i * kLanes);
    const Piece xi = Broadcast(residual[i]);
    Lanes slope;
    for (int p = 0; p < kPieces; ++p) {
      const Piece product = factors.pieces[p] * xi;
      slope.pieces[p] = z.pieces[p] > 0 ? product : Piece{};
    }
    Store(slope, slopes + i * kLanes);
  }
}

constexpr TileKernels TileKernelsCalled(const char* name, bool fused) {
  return {name,      fused,      AddTileProduct, TransposedTileProduct,
          MoveTiles, AddOutputs, TakeSlopes,     MatrixProducts};
}

}  // namespace
}  // namespace polyak::engine
// NOLINTEND(google-build-namespaces,misc-definitions-in-headers)
