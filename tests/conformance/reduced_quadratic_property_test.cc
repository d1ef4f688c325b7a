// Random quadratics by the reduced plans and by DENSE: the same curve. rapidcheck draws (seed by
// RC_PARAMS, see script/test) and shrinks what fails. POLYAK_EQUALITY_SPECS=N tries N specs instead
// of a few and prints what was found.

#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "server/engine/plans/dense.h"
#include "tests/conformance/samples.h"
#include "tests/support/problems.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it
using testing_support::NormalVector;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr int kIterations = 250;

struct Drawn {
  QuadraticSpec spec;
  OptimizerSpec optimizer;
  double condition_number = 1;  // of the eigenvalues that are not 0
  bool theorem = false;         // parameters by theory
};

double Thousandths(int first, int last) { return *rc::gen::inRange(first, last + 1) / 1000.0; }

// Inside the region of stability of docs/theory.md, section 2.
OptimizerSpec DrawMethod(double largest) {
  const double momentum = Thousandths(0, 999);
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return GradientDescentSpec{Thousandths(10, 1990) / largest};
    case 1:
      return PolyakMomentumSpec{Thousandths(10, 1990) / largest, momentum};
    default:
      return NesterovMomentumSpec{Thousandths(10, 1300) / largest, momentum};
  }
}

Drawn Draw() {
  Drawn drawn;
  // One in four is large enough that the instance has the tridiagonal form and no eigenvectors.
  const bool large = *rc::gen::inRange(0, 4) == 0;
  const auto dimension = large ? *rc::gen::inRange<Eigen::Index>(kEigenvectorsDimensionMax + 1,
                                                                 kEigenvectorsDimensionMax + 80)
                               : *rc::gen::inRange<Eigen::Index>(1, 70);
  drawn.condition_number = dimension == 1 ? 1 : std::pow(10.0, Thousandths(0, 6000));
  const double largest = std::pow(10.0, Thousandths(-3000, 3000));
  const auto shape = *rc::gen::element(SpectrumShape::kUniform, SpectrumShape::kLogUniform,
                                       SpectrumShape::kTwoClusters, SpectrumShape::kChebyshev);
  Vector eigenvalues = GenerateSpectrum({dimension, drawn.condition_number, largest, shape});
  const bool singular = dimension > 1 && *rc::gen::inRange(0, 5) == 0;
  if (singular) {
    const auto zeros = *rc::gen::inRange<Eigen::Index>(1, dimension);
    eigenvalues.head(zeros).setZero();
  }
  const int64_t seed = *rc::gen::inRange(0, 1'000'000);
  drawn.spec = testing_support::Rotated(eigenvalues, seed);
  drawn.spec.initial_point = testing_support::Share(NormalVector(seed + 1, dimension));
  if (*rc::gen::arbitrary<bool>()) {
    // In the range of H.
    const Matrix& hessian = *std::get<std::shared_ptr<const Matrix>>(drawn.spec.hessian);
    drawn.spec.linear_term =
        testing_support::Share(Vector(hessian * NormalVector(seed + 2, dimension)));
  }
  drawn.theorem = !singular && *rc::gen::arbitrary<bool>();
  drawn.optimizer =
      drawn.theorem ? *rc::gen::elementOf(Optimizers()) : DrawMethod(eigenvalues.maxCoeff());
  return drawn;
}

struct Tally {
  int specs = 0;
  int theorem_specs = 0;
  int64_t losses = 0;
  double theorem_difference = 0;  // in units of the initial loss
  double other_difference = 0;    // in units of eps sqrt(kappa) times the largest loss so far
};

void Compare(const Drawn& drawn, Tally& tally) {
  const Prepared prepared = Prepare(drawn.spec, drawn.optimizer, Seed{1});
  ++tally.specs;
  tally.theorem_specs += drawn.theorem ? 1 : 0;
  int reduced_plans = 0;
  for (const PlanEntry* plan : PlansFor(prepared.experiment)) {
    if (plan->plan != ExecutionPlan::kReduced) {
      continue;
    }
    ++reduced_plans;
    const auto reduced = *plan->make(prepared.experiment, {});
    const auto dense = *MakeDenseStepper(prepared.experiment);
    double initial_loss = 0;
    double largest_loss = 0;
    double floor = 0;
    for (int t = 0; t <= kIterations; ++t) {
      const Observation expected = dense->Observe();
      const Observation observed = reduced->Observe();
      if (t == 0) {
        initial_loss = expected.loss;
        floor = RoundingFloor(prepared.experiment.problem, expected.residual_norm);
      }
      largest_loss = std::max(largest_loss, expected.loss);
      if (!(expected.residual_norm > floor) || !std::isfinite(expected.loss)) {
        break;
      }
      ++tally.losses;
      const double difference = std::abs(observed.loss - expected.loss);
      if (drawn.theorem) {
        tally.theorem_difference = std::max(tally.theorem_difference, difference / initial_loss);
        RC_ASSERT(difference <= 1e-12 * initial_loss);
      } else {
        const double unit = kEpsilon * std::sqrt(drawn.condition_number) * largest_loss;
        tally.other_difference = std::max(tally.other_difference, difference / unit);
        RC_ASSERT(difference <= 100 * unit);
      }
      dense->Step();
      reduced->Step();
    }
  }
  // Both forms, where both fit.
  RC_ASSERT(reduced_plans ==
            (std::get<std::shared_ptr<const QuadraticInstance>>(prepared.experiment.problem)
                         ->tridiagonal == nullptr
                 ? 2
                 : 1));
}

// rapidcheck reads its parameters at the first property of a program.
void AskForSpecs(const std::string& count) {
  const char* const parameters = std::getenv("RC_PARAMS");
  const std::string others = parameters == nullptr ? "" : std::string{parameters} + " ";
  setenv("RC_PARAMS", (others + "max_success=" + count).c_str(), 1);
}

TEST(ReducedQuadraticProperties, GiveTheCurveOfDense) {
  const char* const asked = std::getenv("POLYAK_EQUALITY_SPECS");
  if (asked != nullptr) {
    AskForSpecs(asked);
  }
  Tally tally;
  EXPECT_TRUE(rc::check("the curve of DENSE", [&] { Compare(Draw(), tally); }));
  if (asked != nullptr) {
    std::cout << tally.specs << " specs, " << tally.theorem_specs
              << " of them with theorem parameters, " << tally.losses
              << " losses; the largest difference is " << tally.theorem_difference
              << " of the initial loss with theorem parameters, " << tally.other_difference
              << " eps sqrt(kappa) of the largest loss so far without\n";
  }
}

}  // namespace
}  // namespace polyak::conformance
