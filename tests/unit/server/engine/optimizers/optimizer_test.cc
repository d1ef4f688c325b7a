#include "server/engine/optimizers/optimizer.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/optimizers/recursion.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::StateOf;
using ::testing::HasSubstr;

const OptimizerSpec kEveryOptimizer[] = {GradientDescentSpec{0.2}, PolyakMomentumSpec{0.2, 0.81},
                                         NesterovMomentumSpec{0.2, 0.81}};

TEST(Optimizer, MovesByItsLinearFormToTheBit) {
  // A plan that works in other coordinates knows a method by these four numbers alone.
  const Slope slope = SteepSlope();
  for (const OptimizerSpec& spec : kEveryOptimizer) {
    const LinearMethod method = LinearForm(spec);
    const auto optimizer = MakeOptimizer(spec, FarPoint());
    Vector w = FarPoint();
    Vector memory = Vector::Zero(4);
    for (int t = 0; t < 200; ++t) {
      const Vector gradient = slope(w);
      memory = method.momentum * memory + gradient;
      w -= method.step_size * (method.gradient_weight * gradient + method.memory_weight * memory);
      optimizer->Update(slope(optimizer->iterate()));
      ASSERT_EQ(optimizer->iterate(), w) << spec.index() << " " << t;
    }
  }
}

TEST(Optimizer, SaysTheSameLinearFormAsItsSpec) {
  for (const OptimizerSpec& spec : kEveryOptimizer) {
    const LinearMethod of_spec = LinearForm(spec);
    const auto made = MakeOptimizer(spec, FarPoint())->linear();
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(made->step_size, of_spec.step_size);
    EXPECT_EQ(made->momentum, of_spec.momentum);
    EXPECT_EQ(made->gradient_weight, of_spec.gradient_weight);
    EXPECT_EQ(made->memory_weight, of_spec.memory_weight);
  }
}

TEST(Optimizer, ThreeMethodsAreThreeMethods) {
  const Slope slope = SteepSlope();
  std::vector<Vector> ends;
  for (const OptimizerSpec& spec : kEveryOptimizer) {
    ends.push_back(IteratesOf(*MakeOptimizer(spec, FarPoint()), slope, 2).back());
  }
  EXPECT_NE(ends[0], ends[1]);
  EXPECT_NE(ends[0], ends[2]);
  EXPECT_NE(ends[1], ends[2]);
}

TEST(Optimizer, KeepsOneVectorOrTwoWithMomentum) {
  EXPECT_EQ(StateVectors(GradientDescentSpec{}), 1);
  EXPECT_EQ(StateVectors(PolyakMomentumSpec{}), 2);
  EXPECT_EQ(StateVectors(NesterovMomentumSpec{}), 2);
}

TEST(Optimizer, LeavesANumberThatIsNotFiniteToBeSeen) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const OptimizerSpec& spec : kEveryOptimizer) {
    const auto optimizer = MakeOptimizer(spec, FarPoint());
    optimizer->Update(Vector::Constant(4, infinity));
    EXPECT_EQ(optimizer->iterate()(0), -infinity);
    optimizer->Update(Vector::Constant(4, -infinity));
    EXPECT_TRUE(std::isnan(optimizer->iterate()(0)));
  }
}

TEST(OptimizerDeathTest, RefusesAParameterThatNobodySet) {
  EXPECT_DEATH(MakeOptimizer(GradientDescentSpec{}, FarPoint()), "check failed");
  EXPECT_DEATH(MakeOptimizer(PolyakMomentumSpec{0.1, {}}, FarPoint()), "check failed");
  EXPECT_DEATH(LinearForm(NesterovMomentumSpec{{}, 0.5}), "check failed");
}

TEST(Optimizer, GoesOnToTheBitFromASavedState) {
  const Slope slope = SteepSlope();
  for (const OptimizerSpec& spec : kEveryOptimizer) {
    for (const int cut : {0, 1, 37}) {
      const auto whole = MakeOptimizer(spec, FarPoint());
      IteratesOf(*whole, slope, cut);
      const auto loaded = MakeOptimizer(spec, Vector::Zero(4));
      ASSERT_TRUE(LoadState(*loaded, StateOf(*whole)).ok());
      EXPECT_EQ(StateOf(*loaded), StateOf(*whole));
      EXPECT_EQ(IteratesOf(*loaded, slope, 60), IteratesOf(*whole, slope, 60)) << spec.index();
    }
  }
}

TEST(Optimizer, RefusesTheStateOfAnotherMethod) {
  for (const OptimizerSpec& saved : kEveryOptimizer) {
    for (const OptimizerSpec& other : kEveryOptimizer) {
      const absl::Status status =
          LoadState(*MakeOptimizer(other, FarPoint()), StateOf(*MakeOptimizer(saved, FarPoint())));
      EXPECT_EQ(status.ok(), saved.index() == other.index());
      EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
    }
  }
}

TEST(Optimizer, RefusesTheStateOfOtherParametersByTheirName) {
  const std::string state = StateOf(*MakeOptimizer(PolyakMomentumSpec{0.2, 0.81}, FarPoint()));
  const auto message = [&](const OptimizerSpec& spec) {
    return std::string{LoadState(*MakeOptimizer(spec, FarPoint()), state).message()};
  };
  EXPECT_THAT(message(PolyakMomentumSpec{std::nextafter(0.2, 1), 0.81}), HasSubstr("step size"));
  EXPECT_THAT(message(PolyakMomentumSpec{0.2, std::nextafter(0.81, 1)}), HasSubstr("momentum"));
}

TEST(Optimizer, RefusesTheStateOfAnotherDimension) {
  for (const OptimizerSpec& spec : kEveryOptimizer) {
    const std::string state = StateOf(*MakeOptimizer(spec, FarPoint()));
    for (const int dimension : {3, 5}) {
      const auto other = MakeOptimizer(spec, Vector::Zero(dimension));
      EXPECT_TRUE(absl::IsDataLoss(LoadState(*other, state)));
    }
  }
}

TEST(Optimizer, RefusesEveryStateThatEndsTooEarly) {
  for (const OptimizerSpec& spec : kEveryOptimizer) {
    const std::string state = StateOf(*MakeOptimizer(spec, FarPoint()));
    for (size_t size = 0; size < state.size(); ++size) {
      const auto loaded = MakeOptimizer(spec, FarPoint());
      EXPECT_TRUE(absl::IsDataLoss(LoadState(*loaded, state.substr(0, size))));
    }
  }
}

}  // namespace
}  // namespace polyak::engine
