#include "server/engine/plans/trained_tiles.h"

#include <algorithm>

#include "server/base/parallel.h"
#include "server/engine/linalg/tile_kernels.h"

namespace polyak::engine {
namespace {

// Strips that are moved and then multiplied, while they are in the first cache.
constexpr int64_t kChunkStrips = 3;

// What all panels have in common; each fills in its places.
TileMove MoveBy(const LinearMethod& method, int64_t depth) {
  return {{method.step_size, method.momentum, method.gradient_weight, method.memory_weight},
          depth,
          nullptr,
          nullptr,
          nullptr,
          {nullptr, nullptr}};
}

}  // namespace

TrainedTiles::TrainedTiles(int64_t rows, int64_t cols, bool with_memory) : weights_(rows, cols) {
  if (with_memory) {
    memory_.emplace(rows, cols);
  }
}

void TrainedTiles::AddProduct(int64_t first_strip, int64_t last_strip, const StripMatrix& right,
                              StripMatrix& out) const {
  const TileKernels& kernels = WidestTileKernels();
  for (int64_t p = 0; p < weights_.panels(); ++p) {
    kernels.add_product({last_strip - first_strip, weights_.width(p)},
                        weights_.tile(p, first_strip), right.cols(),
                        right.strip(p * (kPanelColumnsMax / kTileRows)), out.strip(first_strip));
  }
}

void TrainedTiles::MoveAndAddProduct(int64_t first_strip, int64_t last_strip,
                                     const LinearMethod& method, const double* left,
                                     const StripMatrix& slope, const StripMatrix& right,
                                     StripMatrix& out) {
  const TileKernels& kernels = WidestTileKernels();
  TileMove move = MoveBy(method, slope.cols());
  for (int64_t p = 0; p < weights_.panels(); ++p) {
    const int64_t row = p * (kPanelColumnsMax / kTileRows);
    move.slope = slope.strip(row);
    for (int64_t s = first_strip; s < last_strip; s += kChunkStrips) {
      const PanelShape shape = {std::min(kChunkStrips, last_strip - s), weights_.width(p)};
      move.left = left + (s - first_strip) * kTileRows * slope.cols();
      move.memory = memory_.has_value() ? memory_->tile(p, s) : nullptr;
      move.next = s + kChunkStrips < last_strip ? TilesAt(p, s + kChunkStrips)
                  : p + 1 < weights_.panels()   ? TilesAt(p + 1, first_strip)
                                                : TilesAt(p, s);
      kernels.move(shape, move, weights_.tile(p, s));
      kernels.add_product(shape, weights_.tile(p, s), right.cols(), right.strip(row), out.strip(s));
    }
  }
}

void TrainedTiles::Move(int64_t first_strip, int64_t last_strip, const LinearMethod& method,
                        const double* left, const StripMatrix& slope) {
  TileMove move = MoveBy(method, slope.cols());
  move.left = left;
  for (int64_t p = 0; p < weights_.panels(); ++p) {
    move.slope = slope.strip(p * (kPanelColumnsMax / kTileRows));
    move.memory = memory_.has_value() ? memory_->tile(p, first_strip) : nullptr;
    move.next = TilesAt(std::min(p + 1, weights_.panels() - 1), first_strip);
    WidestTileKernels().move({last_strip - first_strip, weights_.width(p)}, move,
                             weights_.tile(p, first_strip));
  }
}

NextTiles TrainedTiles::TilesAt(int64_t panel, int64_t strip) const {
  return {weights_.tile(panel, strip), memory_.has_value() ? memory_->tile(panel, strip) : nullptr};
}

void TrainedTiles::TransposedProduct(int64_t first_panel, int64_t last_panel,
                                     const StripMatrix& left, StripMatrix& out) const {
  const TileKernels& kernels = WidestTileKernels();
  for (int64_t p = first_panel; p < last_panel; ++p) {
    kernels.transposed_product({weights_.strips(), weights_.width(p)}, weights_.tile(p, 0),
                               left.cols(), left.strip(0),
                               out.strip(p * (kPanelColumnsMax / kTileRows)));
  }
}

void ForEachStepPart(double operations, const std::function<void(int part)>& work) {
  // A thread takes some ten microseconds to begin.
  constexpr double kOperationsThatPay = 2e7;
  if (operations > kOperationsThatPay && base::PartsThatPay(kStepParts) == kStepParts) {
    base::RunParts(kStepParts, work);
  } else {
    for (int part = 0; part < kStepParts; ++part) {
      work(part);
    }
  }
}

}  // namespace polyak::engine
