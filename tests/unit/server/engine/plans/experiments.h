#pragma once

#include <memory>
#include <vector>

#include "server/base/check.h"
#include "server/engine/plans/plan.h"

namespace polyak::engine {

// A small problem of every kind: a full and a diagonal quadratic, a ReLU network, a deep linear
// one.
inline std::vector<ProblemSpec> EverySpec() {
  SyntheticDataSpec synthetic;
  synthetic.examples = 6;
  synthetic.input_dimension = 4;
  DatasetSpec teacher;
  teacher.source = synthetic;
  synthetic.kind = SyntheticKind::kUnitSphere;
  DatasetSpec sphere;
  sphere.source = synthetic;

  QuadraticSpec full;
  full.hessian = LeastSquaresSpec{teacher, 0.1};
  QuadraticSpec diagonal;
  diagonal.hessian = GeneratedSpectrumSpec{5, 10, 1, SpectrumShape::kUniform};
  ReluNetworkSpec relu;
  relu.dataset = sphere;
  relu.width = 32;
  DeepLinearNetworkSpec deep;
  deep.dataset = teacher;
  deep.width = 8;
  deep.depth = 3;
  return {full, diagonal, relu, deep};
}

inline ProblemInstance InstanceOf(const ProblemSpec& spec) {
  auto instance = Instantiate(spec, Seed{3});
  POLYAK_CHECK(instance.ok());
  return *instance;
}

inline std::vector<ProblemInstance> EveryProblem() {
  std::vector<ProblemInstance> instances;
  for (const ProblemSpec& spec : EverySpec()) {
    instances.push_back(InstanceOf(spec));
  }
  return instances;
}

inline std::vector<OptimizerSpec> EveryOptimizer() {
  return {GradientDescentSpec{0.01}, PolyakMomentumSpec{0.01, 0.7},
          NesterovMomentumSpec{0.01, 0.7}};
}

}  // namespace polyak::engine
