#include "tests/bench/networks.h"

#include <utility>

#include "server/base/check.h"

namespace polyak::bench {

engine::ReluNetworkSpec ReluOnSphere(int64_t width, int64_t examples, int64_t dimension) {
  engine::SyntheticDataSpec data;
  data.kind = engine::SyntheticKind::kUnitSphere;
  data.examples = examples;
  data.input_dimension = dimension;
  engine::ReluNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = width;
  return spec;
}

engine::DeepLinearNetworkSpec DeepLinear(int64_t width) {
  engine::SyntheticDataSpec data;
  data.examples = 50;
  data.input_dimension = 20;
  data.output_dimension = 10;
  engine::DeepLinearNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = width;
  spec.depth = 10;
  return spec;
}

engine::ProblemInstance InstanceOf(const engine::ProblemSpec& spec) {
  auto instance = engine::Instantiate(spec, engine::Seed{1});
  POLYAK_CHECK(instance.ok());
  return *std::move(instance);
}

}  // namespace polyak::bench
