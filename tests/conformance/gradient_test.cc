// Every gradient against central differences of the loss.
//
// Along one coordinate of w each loss is a parabola: the quadratic is one, a network is linear in
// each single weight (the ReLU network as long as no activation crosses its kink). So (f(w + h e) -
// f(w - h e)) / 2h is the derivative for any h, not only in the limit, and h is chosen large: what
// is left is the rounding of two values of f, each a sum of `terms` products, over 2h.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "gtest/gtest.h"
#include "tests/conformance/samples.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// Half the distance to the nearest kink along any single weight of a ReLU network; 1/8 else.
double StepOf(const ProblemInstance& instance, const Vector& w) {
  const auto* network = std::get_if<std::shared_ptr<const ReluNetworkInstance>>(&instance);
  if (network == nullptr) {
    return 0.125;
  }
  const Eigen::Map<const Matrix> weights(w.data(), (*network)->width,
                                         (*network)->input_dimension());
  const Matrix activations = weights * (*network)->features.transpose();
  return 0.5 * activations.cwiseAbs().minCoeff() / (*network)->features.cwiseAbs().maxCoeff();
}

class Gradient : public ::testing::TestWithParam<Sample> {};

TEST_P(Gradient, IsTheCentralDifferenceOfTheLossAtTheStartAndOnTheWay) {
  const Prepared prepared = Prepare(GetParam().spec, PolyakMomentumSpec{}, Seed{3});
  const auto problem = MakeProblem(prepared.experiment.problem);
  const auto optimizer = MakeOptimizer(prepared.experiment.optimizer, problem->initial_point());
  Vector gradient(problem->dimension());
  for (int visit = 0; visit < 2; ++visit) {
    Vector w = optimizer->iterate();
    const Observation here = problem->Evaluate(w, &gradient);
    const double step = StepOf(prepared.experiment.problem, w);
    ASSERT_GT(step, 1e-9);  // or the differences would be noise
    const auto terms = static_cast<double>(problem->dimension());
    for (Eigen::Index k = 0; k < w.size(); ++k) {
      const double kept = w(k);
      const double right = kept + step;
      const double left = kept - step;
      w(k) = right;
      const double above = problem->Evaluate(w, nullptr).loss;
      w(k) = left;
      const double below = problem->Evaluate(w, nullptr).loss;
      w(k) = kept;
      // The loss is a square of residuals that are differences of larger numbers: their size is
      // that of the loss plus that of what is subtracted, here within 4 of each other.
      const double size = std::max({above, below, here.loss}) + 4 * std::sqrt(above + below) + 4;
      EXPECT_NEAR((above - below) / (right - left), gradient(k),
                  terms * kEpsilon * size / step + 1e-14 * std::abs(gradient(k)))
          << "coordinate " << k;
    }
    for (int t = 0; t < 20; ++t) {
      problem->Evaluate(optimizer->iterate(), &gradient);
      optimizer->Update(gradient);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Samples, Gradient, ::testing::ValuesIn(Samples()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace polyak::conformance
