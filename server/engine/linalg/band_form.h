#pragma once

#include <cstdint>
#include <vector>

#include "server/engine/linalg/lane_kernels.h"
#include "server/engine/linalg/types.h"

namespace polyak::engine {

// A symmetric band matrix: the lower triangle, column by column, each with room for the bulges that
// ChaseBulges pushes along: entry (i, j), i >= j, is values[i + j (kBandStride - 1)].
inline constexpr int64_t kBandStride = 2 * kPanelColumns;

// H = Q B Q' with a band matrix B of kPanelColumns diagonals below the main one, and Q a product of
// blocks of reflectors I - V T V'.
struct BandForm {
  struct Block {
    int64_t first_row = 0;       // rows first_row .. d - 1 are reflected
    std::vector<double> v;       // rows x kPanelColumns, row by row
    std::vector<double> factor;  // T, kPanelColumns x kPanelColumns, row by row; upper triangular
  };
  int64_t dimension = 0;
  std::vector<double> band;   // (dimension + kPanelColumns) columns of kBandStride
  std::vector<Block> blocks;  // in the order they were applied to H
};

// Of scale H.   matrix: H, symmetric; only the lower triangle is read.   scale: such that squares
// of the scaled entries stay within the numbers. Cost: 4/3 d^3 flops, all but a 32nd of them in
// products of matrices; d^2 doubles while it runs and half as many in the result.
BandForm ReduceToBand(const Matrix& matrix, double scale,
                      const LaneKernels& kernels = WidestKernels());

}  // namespace polyak::engine
