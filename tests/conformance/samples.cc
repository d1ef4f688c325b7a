#include "tests/conformance/samples.h"

#include <memory>
#include <utility>

#include "server/base/check.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it

DatasetSpec Synthetic(SyntheticKind kind, int64_t examples, int64_t inputs, int64_t outputs) {
  SyntheticDataSpec data;
  data.kind = kind;
  data.examples = examples;
  data.input_dimension = inputs;
  data.output_dimension = outputs;
  if (kind == SyntheticKind::kLinearTeacher) {
    data.condition_number = 3;
  }
  DatasetSpec spec;
  spec.source = data;
  return spec;
}

ProblemSpec DeepLinear(int64_t width, int depth, DeepLinearInitialization initialization) {
  DeepLinearNetworkSpec spec;
  spec.dataset = Synthetic(SyntheticKind::kLinearTeacher, 9, 4, 2);
  spec.width = width;
  spec.depth = depth;
  spec.initialization = initialization;
  return spec;
}

}  // namespace

std::vector<Sample> Samples() {
  QuadraticSpec spectrum;
  spectrum.hessian = GeneratedSpectrumSpec{7, 50, 2, SpectrumShape::kLogUniform};
  QuadraticSpec eigenvalues;
  eigenvalues.hessian = std::make_shared<Vector>(Vector::LinSpaced(5, 0.5, 4));
  eigenvalues.linear_term = std::make_shared<Vector>(Vector::LinSpaced(5, -1, 2));
  QuadraticSpec matrix;
  matrix.hessian = std::make_shared<Matrix>(Matrix{{4, 1, 0}, {1, 3, -1}, {0, -1, 2}});
  matrix.linear_term = std::make_shared<Vector>(Vector{{1, -2, 3}});
  QuadraticSpec least_squares;
  least_squares.hessian =
      LeastSquaresSpec{Synthetic(SyntheticKind::kLinearTeacher, 20, 6, 1), 0.01};
  ReluNetworkSpec relu;
  relu.dataset = Synthetic(SyntheticKind::kUnitSphere, 8, 5, 1);
  relu.width = 512;
  return {{"GeneratedSpectrum", spectrum},
          {"ExplicitSpectrum", eigenvalues},
          {"FullMatrix", matrix},
          {"LeastSquares", least_squares},
          {"ReluNetwork", relu},
          {"TwoLayers", DeepLinear(24, 2, DeepLinearInitialization::kOrthogonal)},
          {"FourLayers", DeepLinear(16, 4, DeepLinearInitialization::kOrthogonal)},
          {"GaussianStart", DeepLinear(128, 3, DeepLinearInitialization::kGaussian)}};
}

std::vector<OptimizerSpec> Optimizers() {
  return {GradientDescentSpec{}, PolyakMomentumSpec{}, NesterovMomentumSpec{}};
}

Prepared Prepare(const ProblemSpec& spec, const OptimizerSpec& optimizer, Seed seed,
                 Tuning tuning) {
  auto instance = Instantiate(spec, seed);
  POLYAK_CHECK(instance.ok());
  auto theory = Resolve(*instance, optimizer, tuning);
  POLYAK_CHECK(theory.ok());
  return {{*std::move(instance), theory->optimizer}, *std::move(theory)};
}

std::vector<const PlanEntry*> PlansFor(const Experiment& experiment) {
  std::vector<const PlanEntry*> plans;
  for (const PlanEntry& plan : Plans()) {
    if (plan.eligible(experiment).eligible) {
      plans.push_back(&plan);
    }
  }
  return plans;
}

testing_support::FinishedRun RunByPlan(const Prepared& prepared, const PlanEntry& plan,
                                       const StoppingRule& stopping,
                                       const std::vector<int64_t>& slices) {
  auto stepper = plan.make(prepared.experiment, {});
  POLYAK_CHECK(stepper.ok());
  testing_support::FinishedRun run;
  run.theory = prepared.theory;
  base::StopToken stop;
  Trainer trainer(prepared.experiment, prepared.theory, stopping, *std::move(stepper), run.rows,
                  stop);
  for (size_t k = 0; run.progress.running(); ++k) {
    run.progress = trainer.Advance(slices[k % slices.size()]);
  }
  run.summary = trainer.summary();
  return run;
}

}  // namespace polyak::conformance
