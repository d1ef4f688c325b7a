// (T5), (T9) and (T11): spectrum, width order and bounds of a deep linear network.

#include <Eigen/Eigenvalues>
#include <Eigen/QR>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/data/built_in.h"
#include "server/engine/theory/problem_theory.h"
#include "tests/support/problems.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::DeepLinearNetwork;
using ::polyak::testing_support::Make;
using ::polyak::testing_support::NormalEntries;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kDepth = 3;

DeepLinearNetworkSpec Network(int64_t width = 20) {
  return DeepLinearNetwork(NormalEntries(1, 9, 4), NormalEntries(2, 9, 2), width, kDepth);
}

const Assumption* Find(const TheoryResolution& theory, const std::string& name) {
  for (const Assumption& assumption : theory.prediction.assumptions) {
    if (assumption.name == name) {
      return &assumption;
    }
  }
  return nullptr;
}

TheoryResolution Theory(const DeepLinearNetworkSpec& spec, const OptimizerSpec& optimizer,
                        Tuning tuning = Tuning::kTheorem) {
  auto theory = Resolve(Make(spec), optimizer, tuning);
  POLYAK_CHECK(theory.ok());
  return *std::move(theory);
}

TEST(DeepLinearNetworkTheory, HasTheSpectrumOfItsDataTimesDepthOverOutputs) {
  const Matrix features = NormalEntries(1, 9, 4);
  const Vector squares =
      Eigen::SelfAdjointEigenSolver<Matrix>(features.transpose() * features).eigenvalues();
  const TheoryResolution theory = Theory(Network(), PolyakMomentumSpec{});
  const double smallest = 1.5 * squares(0);
  const double largest = 1.5 * squares(3);
  EXPECT_NEAR(theory.prediction.smallest_eigenvalue, smallest, 1e-13 * largest);
  EXPECT_NEAR(theory.prediction.largest_eigenvalue, largest, 1e-13 * largest);
  const double kappa = largest / smallest;
  EXPECT_NEAR(theory.method.step_size, 1 / largest, 1e-13 / largest);  // (T5): d_y / (L s_max^2)
  EXPECT_NEAR(theory.method.momentum, std::pow(1 - 1 / (2 * std::sqrt(kappa)), 2), 1e-13);
  EXPECT_NEAR(theory.prediction.rate, 1 - 1 / (2 * std::sqrt(kappa)), 1e-13);
  EXPECT_EQ(theory.prediction.theorem_condition_number, theory.prediction.condition_number);
}

TEST(DeepLinearNetworkTheory, LeavesOutTheSingularValuesThatAreZero) {
  Matrix features = NormalEntries(1, 9, 4);
  features.col(3) = features.col(0) - 2 * features.col(1);
  const TheoryResolution theory =
      Theory(DeepLinearNetwork(features, NormalEntries(2, 9, 2), 20, kDepth), PolyakMomentumSpec{});
  EXPECT_TRUE(std::isfinite(theory.prediction.condition_number));
  const Vector squares =
      Eigen::SelfAdjointEigenSolver<Matrix>(features.transpose() * features).eigenvalues();
  EXPECT_NEAR(theory.prediction.condition_number, squares(3) / squares(1),
              1e-12 * squares(3) / squares(1));
}

TEST(DeepLinearNetworkTheory, BoundsTheTheoremsParameters) {
  const TheoryResolution momentum = Theory(Network(), PolyakMomentumSpec{});
  const double kappa = momentum.prediction.condition_number;
  EXPECT_EQ(momentum.bound.theorem, "T9");
  EXPECT_DOUBLE_EQ(momentum.bound.constant, 8 * std::sqrt(kappa));
  EXPECT_DOUBLE_EQ(momentum.bound.rate, 1 - 1 / (4 * std::sqrt(kappa)));
  EXPECT_TRUE(momentum.bound.on_stacked_norm);
  const TheoryResolution descent = Theory(Network(), GradientDescentSpec{});
  EXPECT_EQ(descent.bound.theorem, "T11");
  EXPECT_EQ(descent.bound.constant, 1);
  // eta = 1 / lambda_max, so eta lambda / 2 = 1 / (2 kappa).
  EXPECT_NEAR(descent.bound.rate, std::sqrt(1 - 1 / (2 * kappa)), 1e-15);
  EXPECT_FALSE(descent.bound.on_stacked_norm);
}

TEST(DeepLinearNetworkTheory, HasNoBoundForOtherParametersOrNesterov) {
  EXPECT_FALSE(Theory(Network(), PolyakMomentumSpec{0.01, 0.5}).bound.exists());
  EXPECT_FALSE(Theory(Network(), PolyakMomentumSpec{}, Tuning::kAsymptotic).bound.exists());
  const TheoryResolution nesterov = Theory(Network(), NesterovMomentumSpec{});
  EXPECT_FALSE(nesterov.bound.exists());
  EXPECT_EQ(Find(nesterov, "method_covered_by_theorem")->status, Assumption::Status::kUnmet);
}

TEST(DeepLinearNetworkTheory, TakesTheOrthogonalParametersForAGaussianStartWithoutItsBound) {
  DeepLinearNetworkSpec spec = Network();
  const TheoryResolution orthogonal = Theory(spec, PolyakMomentumSpec{});
  spec.initialization = DeepLinearInitialization::kGaussian;
  const TheoryResolution gaussian = Theory(spec, PolyakMomentumSpec{});
  EXPECT_EQ(gaussian.method.step_size, orthogonal.method.step_size);
  EXPECT_EQ(gaussian.method.momentum, orthogonal.method.momentum);
  EXPECT_EQ(Find(orthogonal, "orthogonal_start")->status, Assumption::Status::kMet);
  EXPECT_EQ(Find(gaussian, "orthogonal_start")->status, Assumption::Status::kUnmet);
  EXPECT_FALSE(gaussian.bound.exists());
}

TEST(DeepLinearNetworkTheory, RefusesAsymptoticTuningOfAGaussianStart) {
  DeepLinearNetworkSpec spec = Network();
  spec.initialization = DeepLinearInitialization::kGaussian;
  for (const OptimizerSpec& optimizer :
       {OptimizerSpec(GradientDescentSpec{}), OptimizerSpec(PolyakMomentumSpec{0.1, std::nullopt}),
        OptimizerSpec(NesterovMomentumSpec{})}) {
    const auto refused = Resolve(Make(spec), optimizer, Tuning::kAsymptotic);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(refused.status().message(), HasSubstr("INITIALIZATION_ORTHOGONAL"));
  }
  // With every parameter given there is nothing to tune.
  EXPECT_TRUE(Resolve(Make(spec), PolyakMomentumSpec{0.01, 0.5}, Tuning::kAsymptotic).ok());
}

TEST(DeepLinearNetworkTheory, AcceptsGivenWeightsThatAreOrthogonal) {
  DeepLinearNetworkSpec spec = Network();
  auto weights =
      std::make_shared<std::vector<Matrix>>(InitialDeepLinearWeights(*std::get<2>(Make(spec, 7))));
  spec.initial_weights = weights;
  EXPECT_EQ(Theory(spec, PolyakMomentumSpec{}).bound.theorem, "T9");
  (*weights)[1](0, 0) += 0.1;
  EXPECT_EQ(Find(Theory(spec, PolyakMomentumSpec{}), "orthogonal_start")->status,
            Assumption::Status::kUnmet);
}

// kappa^5 / s_max^2 (d_y (1 + |W*|^2) + log(r / 0.01)), with |W*| by least squares here.
double Order(const DeepLinearNetworkSpec& spec) {
  const Dataset& data = *std::get<std::shared_ptr<const Dataset>>(spec.dataset.source);
  const Matrix solution = data.features.colPivHouseholderQr().solve(data.targets);
  const Vector squares =
      Eigen::SelfAdjointEigenSolver<Matrix>(data.features.transpose() * data.features)
          .eigenvalues();
  const double largest = squares.tail(1)(0);
  return std::pow(largest / squares(0), 5) / largest *
         (2 * (1 + solution.squaredNorm()) + std::log(4 / 0.01));
}

TEST(DeepLinearNetworkTheory, SaysWhichWidthTheTheoremAsksFor) {
  for (const double scale : {1.0, 100.0}) {
    const DeepLinearNetworkSpec spec =
        DeepLinearNetwork(NormalEntries(1, 9, 4), scale * NormalEntries(2, 9, 2), 20, kDepth);
    const TheoryResolution theory = Theory(spec, PolyakMomentumSpec{});
    const Assumption& width = *Find(theory, "width_of_theorem_order");
    EXPECT_EQ(width.actual, 20);
    EXPECT_NEAR(width.required, Order(spec), 1e-10 * Order(spec));
    EXPECT_EQ(width.status, Assumption::Status::kUnmet);
    ASSERT_FALSE(theory.warnings.empty());
    EXPECT_THAT(theory.warnings[0], HasSubstr("below the theorem's order"));
  }
}

TEST(DeepLinearNetworkTheory, WarnsOfTargetsThatAreLargeForTheWidth) {
  const Matrix features = NormalEntries(1, 9, 4);
  const Matrix targets = NormalEntries(2, 9, 2);
  const double solution = features.colPivHouseholderQr().solve(targets).norm();
  // The warning begins where d_y |W*|^2 passes the width.
  for (const double share : {0.1, 0.99, 1.01, 100.0}) {
    const Matrix scaled = targets * (share * std::sqrt(20 / 2.0) / solution);
    const TheoryResolution theory =
        Theory(DeepLinearNetwork(features, scaled, 20, kDepth), PolyakMomentumSpec{});
    if (share > 1) {
      EXPECT_THAT(theory.warnings, Contains(HasSubstr("may diverge"))) << share;
    } else {
      EXPECT_THAT(theory.warnings, Not(Contains(HasSubstr("may diverge")))) << share;
    }
  }
}

TEST(DeepLinearNetworkTheory, CountsAWidthOfTheOrderAsMet) {
  DeepLinearNetworkSpec spec = Network();
  spec.width = static_cast<int64_t>(std::ceil(Order(spec))) + 1;
  const TheoryResolution theory = Theory(spec, PolyakMomentumSpec{});
  for (const Assumption& assumption : theory.prediction.assumptions) {
    EXPECT_EQ(assumption.status, Assumption::Status::kMet) << assumption.name;
  }
  EXPECT_TRUE(theory.warnings.empty());
}

TEST(DeepLinearNetworkTheory, PassesOnTheLossThatNoNetworkReaches) {
  const ProblemInstance problem = Make(Network());
  const auto theory = Resolve(problem, PolyakMomentumSpec{}, Tuning::kTheorem);
  EXPECT_EQ(theory->prediction.loss_floor, std::get<2>(problem)->loss_floor);
  EXPECT_GT(theory->prediction.loss_floor, 0);
}

}  // namespace
}  // namespace polyak::engine
