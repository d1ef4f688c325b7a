// Random small quadratics: the record equals the reference. rapidcheck draws (seed by RC_PARAMS,
// see script/test) and shrinks what fails.

#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/conformance/quadratic_cases.h"
#include "tests/reference/quadratic.h"
#include "tests/support/run.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::RunToEnd;

constexpr long double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr int64_t kIterations = 200;

// k / 1000 for k in [first, last].
double Thousandths(int first, int last) { return *rc::gen::inRange(first, last + 1) / 1000.0; }

std::shared_ptr<const Vector> DrawVector(Eigen::Index size, int first, int last) {
  auto vector = std::make_shared<Vector>(size);
  for (double& value : *vector) {
    value = Thousandths(first, last);
  }
  return vector;
}

// Within the region of stability of theory.md, section 2, whatever the spectrum up to `largest`.
OptimizerSpec DrawStableMethod(double largest) {
  const double momentum = Thousandths(0, 990);
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return GradientDescentSpec{Thousandths(10, 1990) / largest};
    case 1:
      return PolyakMomentumSpec{Thousandths(10, 1990) / largest, momentum};
    default:
      return NesterovMomentumSpec{Thousandths(10, 1300) / largest, momentum};
  }
}

TEST(QuadraticProperties, ARandomDiagonalRunEqualsTheReference) {
  EXPECT_TRUE(rc::check("a random diagonal run equals the reference", [] {
    const auto dimension = *rc::gen::inRange<Eigen::Index>(1, 9);
    const auto eigenvalues = DrawVector(dimension, 10, 5000);
    QuadraticSpec spec;
    spec.hessian = eigenvalues;
    spec.linear_term = DrawVector(dimension, -3000, 3000);
    spec.initial_point = DrawVector(dimension, -3000, 3000);
    const OptimizerSpec optimizer = DrawStableMethod(eigenvalues->maxCoeff());
    StoppingRule stopping;
    stopping.max_iterations = kIterations;
    const FinishedRun run = RunToEnd(spec, optimizer, stopping);
    reference::Row h;
    reference::Row residual;
    long double size = 0;  // |w*|
    for (Eigen::Index i = 0; i < dimension; ++i) {
      h.push_back((*eigenvalues)(i));
      const long double minimiser = (*spec.linear_term)(i) / h.back();
      residual.push_back((*spec.initial_point)(i)-minimiser);
      size = std::hypot(size, minimiser);
    }
    const auto exact = reference::QuadraticCurve(h, residual, ToReference(optimizer), kIterations);
    // initial_loss 0: the run ends at once.
    RC_ASSERT(run.rows.loss.size() == (exact[0].loss == 0 ? 1U : exact.size()));
    long double largest = 0;
    for (size_t t = 0; t < run.rows.loss.size(); ++t) {
      // Four roundings an iteration, of numbers of the size of |xi| + |w*|, each answered by at
      // most k + 1 after k iterations (all roots are within the unit circle).
      largest = std::max(largest, exact[t].residual_norm);
      const auto steps = static_cast<long double>(t + 1);
      const long double moved = 4 * kEpsilon * (largest + size) * steps * (steps + 1) / 2;
      const long double slope = 5 * largest;  // of the loss: |H| |xi|
      RC_ASSERT(std::abs(run.rows.residual_norm[t] - exact[t].residual_norm) <= moved);
      RC_ASSERT(std::abs(run.rows.loss[t] - exact[t].loss) <= slope * moved + 5 * moved * moved);
    }
  }));
}

TEST(QuadraticProperties, ARandomMatrixOfKnownSpectrumKeepsToTheTolerancesOfTheSuite) {
  EXPECT_TRUE(rc::check("a random matrix run equals the reference", [] {
    const auto shape = *rc::gen::element(SpectrumShape::kUniform, SpectrumShape::kLogUniform,
                                         SpectrumShape::kTwoClusters, SpectrumShape::kChebyshev);
    const double kappa = std::pow(10.0, Thousandths(1, 8000));
    const auto term = *rc::gen::element(LinearTerm::kZero, LinearTerm::kNonZero);
    const QuadraticCase problem = MatrixCase(shape, kappa, term);
    const OptimizerSpec optimizer =
        *rc::gen::element(OptimizerSpec(GradientDescentSpec{}), OptimizerSpec(PolyakMomentumSpec{}),
                          OptimizerSpec(NesterovMomentumSpec{}));
    const auto tuning = *rc::gen::element(Tuning::kTheorem, Tuning::kAsymptotic);
    StoppingRule stopping;
    stopping.max_iterations = 400;
    const FinishedRun run = RunToEnd(problem.spec, optimizer, stopping, tuning);
    const auto exact = reference::QuadraticCurve(problem.eigenvalues, problem.residual,
                                                 ToReference(run.theory.optimizer), 400);
    RC_ASSERT(run.rows.loss.size() == exact.size());
    const bool tight =
        tuning == Tuning::kTheorem || std::holds_alternative<GradientDescentSpec>(optimizer);
    long double largest = 0;
    for (size_t t = 0; t < exact.size(); ++t) {
      largest = std::max(largest, exact[t].loss);
      const long double tolerance =
          tight ? 1e-12L * exact[0].loss
                : 100 * kEpsilon * std::sqrt(static_cast<long double>(kappa)) * largest;
      RC_ASSERT(std::abs(run.rows.loss[t] - exact[t].loss) <= tolerance);
    }
  }));
}

}  // namespace
}  // namespace polyak::conformance
