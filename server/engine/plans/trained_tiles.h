#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "server/base/bytes.h"
#include "server/engine/linalg/tile_kernels.h"
#include "server/engine/linalg/tiled_matrix.h"
#include "server/engine/optimizers/optimizer.h"

namespace polyak::engine {

// A trained matrix W with the memory M of the method that trains it, moved by gradients of low
// rank, left slope', that are never stored: W and M pass through the processor once a step.
class TrainedTiles {
 public:
  // rows x cols, all 0.   with_memory: whether the method has any.
  TrainedTiles(int64_t rows, int64_t cols, bool with_memory);

  TiledMatrix& weights() { return weights_; }
  const TiledMatrix& weights() const { return weights_; }
  std::optional<TiledMatrix>& memory() { return memory_; }
  const std::optional<TiledMatrix>& memory() const { return memory_; }

  // Each of the three takes strips first_strip .. last_strip - 1 of W, and every sum has one order,
  // however the strips are divided over calls.

  // out += W right.   right: (cols x k).   out: (rows x k).   Cost: 2 rows cols k flops.
  void AddProduct(int64_t first_strip, int64_t last_strip, const StripMatrix& right,
                  StripMatrix& out) const;
  // g = left slope' moves W and M by `method`, and out += W right with W as moved.
  //   left: the rows of these strips alone, in strips (depth columns).   slope: (cols x depth).
  //   Cost: 2 rows cols (depth + k) + 4 rows cols flops.
  void MoveAndAddProduct(int64_t first_strip, int64_t last_strip, const LinearMethod& method,
                         const double* left, const StripMatrix& slope, const StripMatrix& right,
                         StripMatrix& out);
  // The same without the product.   Cost: 2 rows cols depth + 4 rows cols flops.
  void Move(int64_t first_strip, int64_t last_strip, const LinearMethod& method, const double* left,
            const StripMatrix& slope);
  // Rows of out (cols x k) that belong to panels first_panel .. last_panel - 1: W' left.
  //   Cost: 2 rows cols k flops.
  void TransposedProduct(int64_t first_panel, int64_t last_panel, const StripMatrix& left,
                         StripMatrix& out) const;

 private:
  NextTiles TilesAt(int64_t panel, int64_t strip) const;

  TiledMatrix weights_;
  std::optional<TiledMatrix> memory_;
};

// How a step is divided: always in as many parts, so that no sum depends on the machine.
inline constexpr int kStepParts = 2;
// Calls work(part) for the parts, on a thread each where that pays for so many flops in all.
void ForEachStepPart(double operations, const std::function<void(int part)>& work);
// The first of `count` things that belong to `part`; those of the last part end at the next one's.
inline int64_t FirstOfPart(int part, int64_t count) { return part * count / kStepParts; }

}  // namespace polyak::engine
