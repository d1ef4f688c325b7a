#include "server/engine/optimizers/polyak_momentum.h"

#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/optimizers/gradient_descent.h"
#include "tests/unit/server/engine/optimizers/recursion.h"

namespace polyak::engine {
namespace {

TEST(PolyakMomentum, StartsAtTheInitialPoint) {
  EXPECT_EQ(MakePolyakMomentum(0.1, 0.9, FarPoint())->iterate(), FarPoint());
}

TEST(PolyakMomentum, FirstStepIsAPlainGradientStep) {
  const Slope slope = SteepSlope();
  const auto optimizer = MakePolyakMomentum(0.2, 0.9, FarPoint());
  const Vector gradient = slope(FarPoint());
  optimizer->Update(gradient);
  EXPECT_EQ(optimizer->iterate(), Vector(FarPoint() - 0.2 * gradient));
}

TEST(PolyakMomentum, FollowsItsDefinitionToTheBit) {
  const Slope slope = SteepSlope();
  const auto optimizer = MakePolyakMomentum(0.2, 0.81, FarPoint());
  Vector w = FarPoint();
  Vector memory = Vector::Zero(4);
  for (int t = 0; t < 200; ++t) {
    const Vector gradient = slope(w);
    for (Eigen::Index i = 0; i < 4; ++i) {
      memory(i) = 0.81 * memory(i) + gradient(i);
      w(i) = w(i) - 0.2 * memory(i);
    }
    optimizer->Update(slope(optimizer->iterate()));
    ASSERT_EQ(optimizer->iterate(), w) << t;
  }
}

TEST(PolyakMomentum, IsTheHeavyBallOfTwoIterates) {
  // w_{t+1} = w_t - eta grad_t + beta (w_t - w_{t-1}), the form of the papers.
  const Slope slope = SteepSlope();
  const auto optimizer = MakePolyakMomentum(0.2, 0.81, FarPoint());
  const std::vector<Vector> iterates = IteratesOf(*optimizer, slope, 100);
  for (size_t t = 1; t + 1 < iterates.size(); ++t) {
    const Vector expected =
        iterates[t] - 0.2 * slope(iterates[t]) + 0.81 * (iterates[t] - iterates[t - 1]);
    // w_t - w_{t-1} loses eps |w|; a handful of such roundings a step.
    const double size = iterates[t].cwiseAbs().maxCoeff() + iterates[t - 1].cwiseAbs().maxCoeff();
    EXPECT_LE((iterates[t + 1] - expected).cwiseAbs().maxCoeff(),
              8 * std::numeric_limits<double>::epsilon() * size);
  }
}

TEST(PolyakMomentum, WithoutMomentumIsGradientDescent) {
  const Slope slope = SteepSlope();
  const auto polyak = MakePolyakMomentum(0.2, 0, FarPoint());
  const auto descent = MakeGradientDescent(0.2, FarPoint());
  EXPECT_EQ(IteratesOf(*polyak, slope, 50), IteratesOf(*descent, slope, 50));
}

TEST(PolyakMomentum, SaysItsLinearForm) {
  const LinearMethod method = *MakePolyakMomentum(0.25, 0.75, FarPoint())->linear();
  EXPECT_EQ(method.step_size, 0.25);
  EXPECT_EQ(method.momentum, 0.75);
  EXPECT_EQ(method.gradient_weight, 0);
  EXPECT_EQ(method.memory_weight, 1);
}

}  // namespace
}  // namespace polyak::engine
