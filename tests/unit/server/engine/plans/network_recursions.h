#pragma once

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/plans/dense.h"
#include "tests/support/saved_state.h"

namespace polyak::engine {

inline double Epsilon() { return std::numeric_limits<double>::epsilon(); }

inline Vector IterateOf(const Stepper& stepper, Eigen::Index dimension) {
  base::StringSink sink;
  stepper.WriteIterate(sink);
  EXPECT_EQ(sink.bytes().size(), static_cast<size_t>(dimension) * sizeof(double));
  Vector iterate(dimension);
  base::StringSource source(sink.bytes());
  source.Read({reinterpret_cast<char*>(iterate.data()), sink.bytes().size()});
  return iterate;
}

// Compares a stepper with the recursion as it is written down: the whole gradient by Eigen, then
// the optimizer's update.
//   terms: of the longest chain of sums from weights to residual. A step adds the rounding of a few
//   such chains, relative to what they sum up; the runs here contract.
inline void ExpectTheLiteralRecursion(const Experiment& experiment, int iterations, double terms) {
  const auto stepper = MakeDenseStepper(experiment).value();
  const auto problem = MakeProblem(experiment.problem);
  const auto optimizer = MakeOptimizer(experiment.optimizer, problem->initial_point());
  Vector gradient(problem->dimension());
  double initial_loss = 0;
  double size = 0;
  for (int t = 0; t <= iterations; ++t) {
    const Observation expected = problem->Evaluate(optimizer->iterate(), &gradient);
    const Observation observed = stepper->Observe();
    initial_loss = t == 0 ? expected.loss : initial_loss;
    size = std::fmax(size, optimizer->iterate().cwiseAbs().maxCoeff());
    const double allowed = 4 * (t + 1) * terms * Epsilon();
    ASSERT_NEAR(observed.loss, expected.loss, allowed * initial_loss) << t;
    ASSERT_NEAR(observed.residual_norm, std::sqrt(2 * observed.loss),
                4 * Epsilon() * observed.residual_norm);
    const Vector iterate = IterateOf(*stepper, problem->dimension());
    ASSERT_LE((iterate - optimizer->iterate()).cwiseAbs().maxCoeff(), allowed * size) << t;
    optimizer->Update(gradient);
    stepper->Step();
  }
}

// Saves at every cut, goes on in a stepper of its own, and compares bits.
inline void ExpectToGoOnToTheBit(const Experiment& experiment, const std::vector<int>& cuts) {
  for (const int cut : cuts) {
    const auto whole = MakeDenseStepper(experiment).value();
    whole->Observe();
    for (int t = 0; t < cut; ++t) {
      whole->Step();
      whole->Observe();
    }
    const std::string state = testing_support::StateOf(*whole);
    const auto loaded = MakeDenseStepper(experiment).value();
    ASSERT_TRUE(testing_support::LoadState(*loaded, state).ok());
    // Looking and saving move nothing.
    whole->Observe();
    EXPECT_EQ(testing_support::StateOf(*whole), state);
    EXPECT_EQ(testing_support::StateOf(*loaded), state);
    for (int t = 0; t < 10; ++t) {
      whole->Step();
      loaded->Step();
      const Observation expected = whole->Observe();
      const Observation observed = loaded->Observe();
      ASSERT_EQ(std::bit_cast<uint64_t>(observed.loss), std::bit_cast<uint64_t>(expected.loss));
    }
    EXPECT_EQ(testing_support::StateOf(*loaded), testing_support::StateOf(*whole));
  }
}

}  // namespace polyak::engine
