// Random deep linear networks: INVARIANT_SUBSPACE gives the trajectory of DENSE. rapidcheck draws
// (seed by RC_PARAMS, see script/test) and shrinks what fails. POLYAK_EQUALITY_SPECS=N tries N
// specs (if no other property ran before) and says how far apart the two plans came.

#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/plans/dense.h"
#include "server/engine/plans/invariant_subspace.h"
#include "server/engine/theory/theory.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it

constexpr int64_t kIterations = 200;
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
// k / 1000 for k in [first, last].
double Thousandths(int first, int last) { return *rc::gen::inRange(first, last + 1) / 1000.0; }

struct Drawn {
  DeepLinearNetworkSpec spec;
  OptimizerSpec optimizer;
  Tuning tuning = Tuning::kTheorem;
  bool theorem = true;
  std::shared_ptr<const DeepLinearNetworkInstance> instance;
};

// Orthogonal weights as a user would give them: those that another seed draws.
void GiveWeights(Drawn& drawn) {
  const auto other = MakeDeepLinearNetworkInstance(drawn.spec, Seed{1000001});
  RC_ASSERT(other.ok());
  drawn.spec.initial_weights =
      std::make_shared<const std::vector<Matrix>>(InitialDeepLinearWeights(**other));
}

// Explicit parameters within the region of stability of the linearised dynamics.
OptimizerSpec DrawStableMethod(double largest) {
  const double momentum = *rc::gen::element(0.0, 0.5, 0.9, 0.97, 0.99, 0.999);
  switch (*rc::gen::element(0, 1, 2)) {
    case 0:
      return GradientDescentSpec{Thousandths(10, 1000) / largest};
    case 1:
      return PolyakMomentumSpec{Thousandths(10, 1000) / largest, momentum};
    default:
      return NesterovMomentumSpec{Thousandths(10, 600) / largest, momentum};
  }
}

Drawn Draw() {
  SyntheticDataSpec data;
  data.examples = *rc::gen::inRange(1, 16);
  data.input_dimension = *rc::gen::inRange(1, 13);
  data.output_dimension = *rc::gen::inRange(1, 9);
  if (*rc::gen::element(true, true, true, false)) {
    // theory's kappa is its square
    data.condition_number = std::pow(10.0, Thousandths(0, 1000));
  }
  Drawn drawn;
  drawn.spec.dataset.source = data;
  drawn.spec.depth = *rc::gen::element(2, 2, 3, 4, 6, 9);
  drawn.spec.width = std::max(data.input_dimension, data.output_dimension) +
                     *rc::gen::element(0, 1, 2, 5, 12, 25, 60);
  const Seed seed{*rc::gen::inRange<int64_t>(0, 1000000)};
  if (*rc::gen::element(true, false, false, false)) {
    GiveWeights(drawn);
  }
  const auto instance = MakeDeepLinearNetworkInstance(drawn.spec, seed);
  RC_ASSERT(instance.ok());
  drawn.instance = *instance;
  const double largest = drawn.spec.depth * std::pow((*instance)->singular_values(0), 2) /
                         static_cast<double>(data.output_dimension);
  switch (*rc::gen::element(0, 1, 2, 3)) {
    case 0:
      drawn.optimizer = DrawStableMethod(largest);
      drawn.theorem = false;
      break;
    case 1:
      drawn.tuning = Tuning::kAsymptotic;
      drawn.theorem = false;
      [[fallthrough]];
    default:
      drawn.optimizer = *rc::gen::element(OptimizerSpec(GradientDescentSpec{}),
                                          OptimizerSpec(PolyakMomentumSpec{}),
                                          OptimizerSpec(NesterovMomentumSpec{}));
  }
  return drawn;
}

// Of each weight: less than what its rounding does to the outputs later.
constexpr double kPerturbation = 4 * kEpsilon;

// DENSE from weights a few roundings away. Small networks far from their targets follow no linear
// dynamics, and some runs double any difference at every step: then two programs that round
// differently part, and so do two runs of DENSE, which tells those runs from a wrong plan.
std::unique_ptr<Stepper> MakeDenseNearby(const Experiment& experiment, unsigned which) {
  const auto& instance =
      std::get<std::shared_ptr<const DeepLinearNetworkInstance>>(experiment.problem);
  std::vector<Matrix> weights = InitialDeepLinearWeights(*instance);
  std::mt19937_64 random(which);
  for (Matrix& layer : weights) {
    for (double& weight : layer.reshaped()) {
      weight *= 1 + (random() % 2 == 0 ? 1 : -1) * kPerturbation;
    }
  }
  auto nearby = std::make_shared<DeepLinearNetworkInstance>(*instance);
  nearby->initial_weights = std::make_shared<const std::vector<Matrix>>(std::move(weights));
  return MakeDenseStepper({std::move(nearby), experiment.optimizer}).value();
}

struct Tally {
  int64_t specs = 0;
  int64_t theorem_specs = 0;
  int64_t iterations = 0;            // compared
  int64_t sensitive_iterations = 0;  // of those, where DENSE parts from itself
  double theorem_difference = 0;     // largest, of the initial loss; the sensitive ones apart
  double other_difference = 0;       // largest, in the unit of the others; likewise
};

std::vector<Observation> Run(Stepper& stepper) {
  std::vector<Observation> observations;
  for (int64_t t = 0; t <= kIterations; ++t) {
    observations.push_back(stepper.Observe());
    stepper.Step();
  }
  return observations;
}

// How far runs nearby came from one up to iteration t and shortly after: differences oscillate as
// the residual does, and are small by chance now and then.
double Apart(const std::vector<Observation>& one,
             const std::vector<std::vector<Observation>>& nearby, size_t t) {
  constexpr size_t kAhead = 20;
  double apart = 0;
  for (const std::vector<Observation>& other : nearby) {
    for (size_t s = 0; s < std::min(t + kAhead, one.size()); ++s) {
      const double difference = std::abs(one[s].loss - other[s].loss);
      if (!std::isfinite(difference)) {
        return std::numeric_limits<double>::infinity();
      }
      apart = std::max(apart, difference);
    }
  }
  return apart;
}

// Runs of DENSE further apart than this share of the initial loss are two different runs.
constexpr double kApartMax = 1e-6;

// Both plans' runs, while the residual is above the rounding floor.
void Compare(const Drawn& drawn, Tally& tally) {
  const auto theory = Resolve(drawn.instance, drawn.optimizer, drawn.tuning);
  RC_ASSERT(theory.ok());
  const Experiment experiment = {drawn.instance, theory->optimizer};
  RC_ASSERT(InvariantSubspaceEligible(experiment).eligible);
  const auto dense = Run(*MakeDenseStepper(experiment).value());
  std::vector<std::vector<Observation>> nearby;
  for (const unsigned which : {1U, 2U, 3U}) {  // a burst may grow out of the rounding of one alone
    nearby.push_back(Run(*MakeDenseNearby(experiment, which)));
  }
  const auto reduced = Run(*MakeInvariantSubspaceStepper(experiment).value());
  const double root_kappa = std::sqrt(theory->prediction.condition_number);
  const double targets = drawn.instance->targets.norm();
  const double initial = dense[0].loss;
  const double floor = RoundingFloor(drawn.instance, dense[0].residual_norm);
  double largest = 0;  // |xi| so far
  for (size_t t = 0; t < dense.size(); ++t) {
    const double apart = Apart(dense, nearby, t);
    if (dense[t].residual_norm < floor || apart > kApartMax * initial) {
      break;
    }
    // Outputs of the size of the targets are subtracted from them: a residual that starts far
    // smaller has their rounding.
    largest = std::max(largest, dense[t].residual_norm);
    const double size = largest * (largest + targets) / 2;
    const double unit = drawn.theorem ? initial : kEpsilon * root_kappa * size;
    const double tolerance = (drawn.theorem ? 1e-12 : 100) * unit;
    const double difference = std::abs(reduced[t].loss - dense[t].loss);
    ++tally.iterations;
    if (apart > tolerance / 10) {
      ++tally.sensitive_iterations;
      RC_ASSERT(difference <= 100 * apart);
    } else {
      double& kept = drawn.theorem ? tally.theorem_difference : tally.other_difference;
      kept = std::max(kept, difference / unit);
      RC_ASSERT(difference <= tolerance);
    }
  }
  ++tally.specs;
  tally.theorem_specs += drawn.theorem ? 1 : 0;
}

// rapidcheck reads its parameters at the first property of a program.
void AskForSpecs(const std::string& count) {
  const char* const parameters = std::getenv("RC_PARAMS");
  const std::string others = parameters == nullptr ? "" : std::string{parameters} + " ";
  setenv("RC_PARAMS", (others + "max_success=" + count).c_str(), 1);
}

TEST(InvariantSubspaceProperties, GivesTheTrajectoryOfDense) {
  const char* const asked = std::getenv("POLYAK_EQUALITY_SPECS");
  if (asked != nullptr) {
    AskForSpecs(asked);
  }
  Tally tally;
  EXPECT_TRUE(rc::check("the trajectory of DENSE", [&] { Compare(Draw(), tally); }));
  EXPECT_LT(tally.sensitive_iterations, tally.iterations / 2);
  if (asked != nullptr) {
    std::cout << tally.specs << " specs, " << tally.theorem_specs
              << " of them with theorem parameters; " << tally.iterations << " iterations, "
              << tally.sensitive_iterations
              << " of them where DENSE parts from itself; in the others the largest difference is "
              << tally.theorem_difference << " of the initial loss with theorem parameters, "
              << tally.other_difference
              << " eps sqrt(kappa) |xi| (|xi| + |Y|) / 2 without, |xi| the largest so far\n";
  }
}

}  // namespace
}  // namespace polyak::conformance
