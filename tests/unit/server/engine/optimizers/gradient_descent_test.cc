#include "server/engine/optimizers/gradient_descent.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/server/engine/optimizers/recursion.h"

namespace polyak::engine {
namespace {

TEST(GradientDescent, StartsAtTheInitialPoint) {
  EXPECT_EQ(MakeGradientDescent(0.1, FarPoint())->iterate(), FarPoint());
}

TEST(GradientDescent, EveryStepIsTheStepSizeTimesTheGradient) {
  const Slope slope = SteepSlope();
  const auto optimizer = MakeGradientDescent(0.2, FarPoint());
  const std::vector<Vector> iterates = IteratesOf(*optimizer, slope, 50);
  for (size_t t = 0; t + 1 < iterates.size(); ++t) {
    const Vector gradient = slope(iterates[t]);
    for (Eigen::Index i = 0; i < 4; ++i) {
      // One product, one difference: the same two roundings, hence the same bits.
      EXPECT_EQ(iterates[t + 1](i), iterates[t](i) - 0.2 * gradient(i));
    }
  }
}

TEST(GradientDescent, HasNoMemory) {
  const Slope slope = SteepSlope();
  const auto optimizer = MakeGradientDescent(0.2, FarPoint());
  const std::vector<Vector> iterates = IteratesOf(*optimizer, slope, 20);
  const auto fresh = MakeGradientDescent(0.2, iterates[10]);
  EXPECT_EQ(IteratesOf(*fresh, slope, 10).back(), iterates.back());
}

TEST(GradientDescent, SaysItsLinearForm) {
  const LinearMethod method = *MakeGradientDescent(0.25, FarPoint())->linear();
  EXPECT_EQ(method.step_size, 0.25);
  EXPECT_EQ(method.momentum, 0);
  EXPECT_EQ(method.gradient_weight, 0);
  EXPECT_EQ(method.memory_weight, 1);
}

}  // namespace
}  // namespace polyak::engine
