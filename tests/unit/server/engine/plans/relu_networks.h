#pragma once

#include <memory>

#include "server/base/check.h"
#include "server/engine/problems/relu_network.h"

namespace polyak::engine {

// A drawn network on drawn examples of unit norm.
inline std::shared_ptr<const ReluNetworkInstance> DrawnNetwork(int64_t width, int64_t examples,
                                                               int64_t inputs,
                                                               double target_scale = 1) {
  SyntheticDataSpec data;
  data.kind = SyntheticKind::kUnitSphere;
  data.examples = examples;
  data.input_dimension = inputs;
  ReluNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = width;
  auto drawn = MakeReluNetworkInstance(spec, Seed{5});
  POLYAK_CHECK(drawn.ok());
  auto instance = std::make_shared<ReluNetworkInstance>(**drawn);
  instance->targets *= target_scale;
  return instance;
}

}  // namespace polyak::engine
