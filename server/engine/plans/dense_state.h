#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "server/base/bytes.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/plans/saved_plan.h"
#include "server/engine/plans/trained_tiles.h"

namespace polyak::engine {

inline int64_t CountValues(const std::vector<TrainedTiles>& layers) {
  int64_t count = 0;
  for (const TrainedTiles& layer : layers) {
    count += layer.weights().rows() * layer.weights().cols();
  }
  return count;
}

// The state of a method with its weights in tiles: the iterate with its count, the method, whether
// there is memory, and the memory. No bit of it depends on the tiles.
inline void SaveDense(const std::vector<TrainedTiles>& layers, const LinearMethod& method,
                      base::ByteSink& out) {
  out.WriteInt(CountValues(layers));
  for (const TrainedTiles& layer : layers) {
    layer.weights().Write(out);
  }
  out.WriteDouble(method.step_size);
  out.WriteDouble(method.momentum);
  out.WriteDouble(method.gradient_weight);
  out.WriteInt(layers.front().memory().has_value() ? 1 : 0);
  for (const TrainedTiles& layer : layers) {
    if (layer.memory().has_value()) {
      layer.memory()->Write(out);
    }
  }
}

// Errors: DataLoss if the bytes are of another method, other parameters or another dimension.
inline absl::Status LoadDense(base::ByteSource& in, const LinearMethod& method,
                              std::vector<TrainedTiles>& layers) {
  in.ExpectInt(CountValues(layers), "the literal iterate's length in a saved state");
  for (TrainedTiles& layer : layers) {
    layer.weights().Read(in);
  }
  in.ExpectDouble(method.step_size, "the step size of a saved state");
  in.ExpectDouble(method.momentum, "the momentum of a saved state");
  in.ExpectDouble(method.gradient_weight, "the method of a saved state");
  in.ExpectInt(layers.front().memory().has_value() ? 1 : 0, "the memory of a saved state");
  for (TrainedTiles& layer : layers) {
    if (layer.memory().has_value()) {
      layer.memory()->Read(in);
    }
  }
  return in.status();
}

}  // namespace polyak::engine
