#include "server/engine/optimizers/nesterov_momentum.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/optimizers/gradient_descent.h"
#include "tests/unit/server/engine/optimizers/recursion.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

TEST(NesterovMomentum, StartsAtTheInitialPoint) {
  EXPECT_EQ(MakeNesterovMomentum(0.1, 0.9, FarPoint())->iterate(), FarPoint());
}

TEST(NesterovMomentum, FirstStepIsAGradientStepLongerByTheMomentum) {
  // w_1 = w_0 - (1 + beta) eta grad_0: the recorded iterate is where the gradient is taken.
  const Slope slope = SteepSlope();
  const auto optimizer = MakeNesterovMomentum(0.2, 0.9, FarPoint());
  const Vector gradient = slope(FarPoint());
  optimizer->Update(gradient);
  const Vector expected = FarPoint() - 1.9 * 0.2 * gradient;
  for (Eigen::Index i = 0; i < 4; ++i) {
    // Four roundings of a step and one of the difference.
    EXPECT_NEAR(optimizer->iterate()(i), expected(i),
                4 * kEpsilon * (std::abs(FarPoint()(i)) + std::abs(expected(i))));
  }
}

TEST(NesterovMomentum, FollowsItsDefinitionToTheBit) {
  const Slope slope = SteepSlope();
  const auto optimizer = MakeNesterovMomentum(0.2, 0.81, FarPoint());
  Vector w = FarPoint();
  Vector memory = Vector::Zero(4);
  for (int t = 0; t < 200; ++t) {
    const Vector gradient = slope(w);
    for (Eigen::Index i = 0; i < 4; ++i) {
      memory(i) = 0.81 * memory(i) + gradient(i);
      w(i) = w(i) - 0.2 * (gradient(i) + 0.81 * memory(i));
    }
    optimizer->Update(slope(optimizer->iterate()));
    ASSERT_EQ(optimizer->iterate(), w) << t;
  }
}

TEST(NesterovMomentum, IsTheFormOfTwoSequences) {
  // x_{t+1} = y_t - eta grad(y_t), y_{t+1} = x_{t+1} + beta (x_{t+1} - x_t) with x_0 = y_0: the
  // form of the textbooks. The iterate is y.
  const Slope slope = SteepSlope();
  const auto optimizer = MakeNesterovMomentum(0.2, 0.81, FarPoint());
  Vector x = FarPoint();
  Vector y = FarPoint();
  for (int t = 0; t < 100; ++t) {
    const Vector next = y - 0.2 * slope(y);
    y = next + 0.81 * (next - x);
    x = next;
    optimizer->Update(slope(optimizer->iterate()));
    // Both forms round by eps |w| a step, and the recursion, which contracts here, adds up to
    // 1 / (1 - rate) of them: the slowest rate, at h = 0.001, is about 0.999.
    ASSERT_LE((optimizer->iterate() - y).cwiseAbs().maxCoeff(),
              8 * kEpsilon * FarPoint().cwiseAbs().maxCoeff() * (t + 1));
  }
}

TEST(NesterovMomentum, WithoutMomentumIsGradientDescent) {
  const Slope slope = SteepSlope();
  const auto nesterov = MakeNesterovMomentum(0.2, 0, FarPoint());
  const auto descent = MakeGradientDescent(0.2, FarPoint());
  EXPECT_EQ(IteratesOf(*nesterov, slope, 50), IteratesOf(*descent, slope, 50));
}

TEST(NesterovMomentum, SaysItsLinearForm) {
  const LinearMethod method = *MakeNesterovMomentum(0.25, 0.75, FarPoint())->linear();
  EXPECT_EQ(method.step_size, 0.25);
  EXPECT_EQ(method.momentum, 0.75);
  EXPECT_EQ(method.gradient_weight, 1);
  EXPECT_EQ(method.memory_weight, 0.75);
}

}  // namespace
}  // namespace polyak::engine
