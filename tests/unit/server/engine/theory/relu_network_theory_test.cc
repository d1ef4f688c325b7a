// The infinite-width Gram matrix, (T4), (T8) and (T11) of a wide ReLU network.

#include <Eigen/Eigenvalues>
#include <Eigen/QR>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numbers>
#include <string>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/data/built_in.h"
#include "server/engine/theory/problem_theory.h"
#include "tests/support/problems.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::Make;
using ::polyak::testing_support::NormalEntries;
using ::polyak::testing_support::NormalVector;
using ::polyak::testing_support::ReluNetwork;
using ::polyak::testing_support::Share;
using ::polyak::testing_support::UnitRows;
using ::testing::HasSubstr;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

TEST(InfiniteWidthGram, HasHalvesOnTheDiagonalForUnitExamples) {
  const Matrix gram = InfiniteWidthGram(UnitRows(1, 8, 5));
  for (Eigen::Index i = 0; i < 8; ++i) {
    EXPECT_NEAR(gram(i, i), 0.5, 4 * kEpsilon);
  }
  EXPECT_EQ(gram, gram.transpose());
}

TEST(InfiniteWidthGram, KnowsTheAnglesThatCanBeDoneByHand) {
  Matrix features(4, 2);
  features << 1, 0, 0, 1, -1, 0, std::sqrt(0.5), std::sqrt(0.5);
  const Matrix gram = InfiniteWidthGram(features);
  EXPECT_EQ(gram(0, 1), 0);  // orthogonal
  EXPECT_EQ(gram(0, 2), 0);  // opposite: never active together
  // 45 degrees: cos = sqrt(1/2), (pi - pi/4) / (2 pi) = 3/8.
  EXPECT_NEAR(gram(0, 3), std::sqrt(0.5) * 3 / 8, 4 * kEpsilon);
  EXPECT_NEAR(gram(2, 3), -std::sqrt(0.5) / 8, 4 * kEpsilon);
}

TEST(InfiniteWidthGram, IsHomogeneousInEveryExample) {
  const Matrix features = UnitRows(2, 4, 3);
  Matrix scaled = features;
  scaled.row(1) *= 3;
  const Matrix gram = InfiniteWidthGram(features);
  const Matrix scaled_gram = InfiniteWidthGram(scaled);
  EXPECT_NEAR(scaled_gram(1, 1), 9 * gram(1, 1), 1e-14);
  EXPECT_NEAR(scaled_gram(0, 1), 3 * gram(0, 1), 1e-14);
  EXPECT_NEAR(scaled_gram(0, 2), gram(0, 2), 1e-15);
}

TEST(InfiniteWidthGram, OfAnExampleThatIsZeroIsZeroThere) {
  Matrix features = UnitRows(2, 3, 3);
  features.row(1).setZero();
  const Matrix gram = InfiniteWidthGram(features);
  EXPECT_TRUE(gram.row(1).isZero(0));
  EXPECT_TRUE(gram.col(1).isZero(0));
  EXPECT_TRUE(gram.allFinite());
}

// Each entry of H0 is a mean of m independent values 0 or x_i.x_j with mean H_ij: its standard
// error is sqrt(H_ij (x_i.x_j - H_ij) / m).  36 distinct entries: 4.5 of them leave 1e-4.
TEST(InfiniteWidthGram, IsTheMeanOverTheNeurons) {
  constexpr int64_t kWidth = 400000;
  const Matrix features = UnitRows(3, 8, 5);
  const ProblemInstance problem = Make(ReluNetwork(features, NormalVector(4, 8), kWidth), 5);
  const Matrix sampled =
      LinearizeReluNetwork(*std::get<std::shared_ptr<const ReluNetworkInstance>>(problem)).gram;
  const Matrix gram = InfiniteWidthGram(features);
  const Matrix inner = features * features.transpose();
  for (Eigen::Index i = 0; i < 8; ++i) {
    for (Eigen::Index j = 0; j <= i; ++j) {
      const double variance = gram(i, j) * (inner(i, j) - gram(i, j));
      EXPECT_NEAR(sampled(i, j), gram(i, j), 4.5 * std::sqrt(variance / kWidth)) << i << " " << j;
    }
  }
}

TEST(InfiniteWidthGram, OfDigitsHasTheEigenvaluesOfTheReferenceProgram) {
  DatasetSpec spec;
  spec.source = FindBuiltInDataset("datasets/digits")->data;
  spec.scaling = FeatureScaling::kUnitNorm;
  for (const auto& [examples, kappa, digits] :
       {std::tuple(50, 399.338, 5e-4), std::tuple(100, 1049.5, 0.05)}) {
    spec.first_examples = examples;
    const Eigen::SelfAdjointEigenSolver<Matrix> solver(
        InfiniteWidthGram(MakeDataset(spec, Seed{})->features));
    const Vector& eigenvalues = solver.eigenvalues();
    EXPECT_NEAR(eigenvalues(examples - 1) / eigenvalues(0), kappa, digits);
    if (examples == 50) {
      EXPECT_NEAR(eigenvalues(0), 0.0332978, 5e-8);
      EXPECT_NEAR(eigenvalues(49), 13.2970904, 5e-8);
    }
  }
}

ProblemInstance Network(int64_t width = 100) {
  return Make(ReluNetwork(UnitRows(1, 6, 10), NormalVector(2, 6), width), 3);
}

const Assumption* Find(const TheoryResolution& theory, const std::string& name) {
  for (const Assumption& assumption : theory.prediction.assumptions) {
    if (assumption.name == name) {
      return &assumption;
    }
  }
  return nullptr;
}

int64_t CountContaining(const std::vector<std::string>& texts, const std::string& part) {
  return std::count_if(texts.begin(), texts.end(), [&part](const std::string& text) {
    return text.find(part) != std::string::npos;
  });
}

TEST(ReluNetworkTheory, ChoosesParametersWithTheTheoremsMargins) {
  const auto theory = Resolve(Network(), PolyakMomentumSpec{}, Tuning::kTheorem);
  ASSERT_TRUE(theory.ok());
  const double smallest = theory->prediction.smallest_eigenvalue;
  const double largest = theory->prediction.largest_eigenvalue;
  const double kappa_hat = 4.0 / 3 * (largest / smallest) + 1.0 / 3;  // (T4)
  EXPECT_NEAR(theory->prediction.theorem_condition_number, kappa_hat, 1e-13 * kappa_hat);
  EXPECT_NEAR(theory->prediction.condition_number, largest / smallest, 1e-13 * kappa_hat);
  EXPECT_DOUBLE_EQ(theory->method.step_size, 1 / (largest + smallest / 4));
  EXPECT_NEAR(theory->method.momentum, std::pow(1 - 1 / (2 * std::sqrt(kappa_hat)), 2), 1e-15);
  EXPECT_EQ(theory->bound.theorem, "T8");
  EXPECT_NEAR(theory->bound.constant, 8 * std::sqrt(kappa_hat), 1e-12);
  EXPECT_NEAR(theory->bound.rate, 1 - 1 / (4 * std::sqrt(kappa_hat)), 1e-15);
  EXPECT_TRUE(theory->bound.on_stacked_norm);
}

TEST(ReluNetworkTheory, PredictsGradientDescentWithTheEigenvalueItself) {
  const auto theory = Resolve(Network(), GradientDescentSpec{}, Tuning::kTheorem);
  ASSERT_TRUE(theory.ok());
  const double smallest = theory->prediction.smallest_eigenvalue;
  const double largest = theory->prediction.largest_eigenvalue;
  EXPECT_NEAR(theory->prediction.rate, 1 - smallest / (largest + smallest / 4), 1e-15);
  EXPECT_EQ(theory->bound.theorem, "T11");
  EXPECT_EQ(theory->bound.constant, 1);
  EXPECT_FALSE(theory->bound.on_stacked_norm);
  // |xi|^2 falls by 1 - eta lambda / 2 with lambda = 3/4 of the smallest eigenvalue.
  EXPECT_NEAR(theory->bound.rate, std::sqrt(1 - theory->method.step_size * 0.75 * smallest / 2),
              1e-15);
}

TEST(ReluNetworkTheory, UsesTheNetworksOwnGramMatrixUnderAsymptoticTuning) {
  const ProblemInstance problem = Network();
  const auto theory = Resolve(problem, PolyakMomentumSpec{}, Tuning::kAsymptotic);
  ASSERT_TRUE(theory.ok());
  const LinearizedStart start = Linearize(problem);
  EXPECT_NEAR(theory->prediction.smallest_eigenvalue, start.eigenvalues(0), 1e-14);
  EXPECT_NEAR(theory->prediction.largest_eigenvalue, start.eigenvalues(5), 1e-14);
  EXPECT_FALSE(theory->bound.exists());
  EXPECT_EQ(Find(*theory, "theorem_parameters")->status, Assumption::Status::kUnmet);
}

TEST(ReluNetworkTheory, DoesNotTakeParametersOfTheFiniteNetworkForTheTheorems) {
  const ProblemInstance problem = Network();
  const LinearizedStart start = Linearize(problem);
  const double kappa = start.eigenvalues(5) / start.eigenvalues(0);
  const PolyakMomentumSpec own = {1 / start.eigenvalues(5),
                                  std::pow(1 - 1 / (2 * std::sqrt(kappa)), 2)};
  for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
    const auto theory = Resolve(problem, own, tuning);
    ASSERT_TRUE(theory.ok());
    EXPECT_EQ(Find(*theory, "theorem_parameters")->status, Assumption::Status::kUnmet);
    EXPECT_FALSE(theory->bound.exists());
  }
}

TEST(ReluNetworkTheory, ListsTheTheoremsAssumptions) {
  const auto theory = Resolve(Network(), PolyakMomentumSpec{}, Tuning::kTheorem);
  ASSERT_TRUE(theory.ok());
  EXPECT_EQ(Find(*theory, "unit_norm_examples")->status, Assumption::Status::kMet);
  EXPECT_EQ(Find(*theory, "gram_matrix_positive_definite")->status, Assumption::Status::kMet);
  EXPECT_EQ(Find(*theory, "gaussian_start")->status, Assumption::Status::kMet);
  EXPECT_EQ(Find(*theory, "theorem_parameters")->status, Assumption::Status::kMet);
  const Assumption& width = *Find(*theory, "width_of_theorem_order");
  EXPECT_EQ(width.status, Assumption::Status::kUnmet);
  EXPECT_EQ(width.actual, 100);
  const double smallest = theory->prediction.smallest_eigenvalue;
  const double kappa_hat = theory->prediction.theorem_condition_number;
  const double order =
      std::pow(6 / (0.75 * smallest), 4) * std::pow(kappa_hat, 4) * std::pow(std::log(6 / 0.01), 3);
  EXPECT_NEAR(width.required, order, 1e-11 * order);
  EXPECT_THAT(width.text, HasSubstr("order"));
}

TEST(ReluNetworkTheory, CountsAWidthOfTheOrderAsMet) {
  // Nobody trains it, but theory may be asked.
  const auto theory = Resolve(Network(int64_t{1} << 52), PolyakMomentumSpec{}, Tuning::kTheorem);
  ASSERT_TRUE(theory.ok());
  ASSERT_LT(Find(*theory, "width_of_theorem_order")->required, std::ldexp(1, 52));
  for (const Assumption& assumption : theory->prediction.assumptions) {
    EXPECT_EQ(assumption.status, Assumption::Status::kMet) << assumption.name;
  }
  EXPECT_TRUE(theory->warnings.empty());
}

TEST(ReluNetworkTheory, WarnsOfTargetsThatAreLargeForTheWidth) {
  const Matrix features = UnitRows(1, 6, 10);
  const Vector targets = NormalVector(2, 6);
  const double movement =
      std::sqrt(targets.dot(InfiniteWidthGram(features).colPivHouseholderQr().solve(targets)));
  // The warning begins where the movement passes sqrt(m) = 10.
  for (const double share : {0.01, 0.99, 1.01, 100.0}) {
    const Vector scaled = targets * (share * 10 / movement);
    for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
      const auto theory =
          Resolve(Make(ReluNetwork(features, scaled, 100)), PolyakMomentumSpec{}, tuning);
      ASSERT_TRUE(theory.ok());
      // Under ASYMPTOTIC the finite network's own Gram matrix moves the border by a little.
      if (tuning == Tuning::kTheorem || share < 0.1 || share > 10) {
        EXPECT_EQ(CountContaining(theory->warnings, "targets are large"), share > 1 ? 1 : 0)
            << share;
      }
    }
  }
}

TEST(ReluNetworkTheory, FindsGivenWeightsNotGaussianAndLongExamplesNotUnit) {
  ReluNetworkSpec spec = ReluNetwork(2 * UnitRows(1, 6, 10), NormalVector(2, 6), 7);
  spec.initial_hidden_weights = Share(NormalEntries(3, 7, 10));
  const auto theory = Resolve(Make(spec), PolyakMomentumSpec{}, Tuning::kTheorem);
  ASSERT_TRUE(theory.ok());
  EXPECT_EQ(Find(*theory, "unit_norm_examples")->status, Assumption::Status::kUnmet);
  EXPECT_NEAR(Find(*theory, "unit_norm_examples")->actual, 1, 1e-14);
  EXPECT_EQ(Find(*theory, "gaussian_start")->status, Assumption::Status::kUnmet);
}

TEST(ReluNetworkTheory, HasNoBoundForNesterov) {
  const auto theory = Resolve(Network(), NesterovMomentumSpec{}, Tuning::kTheorem);
  ASSERT_TRUE(theory.ok());
  EXPECT_FALSE(theory->bound.exists());
  EXPECT_EQ(Find(*theory, "method_covered_by_theorem")->status, Assumption::Status::kUnmet);
}

// Rows: two random examples, then one made of the first.
ProblemInstance WithThirdExample(double factor) {
  Matrix features = UnitRows(1, 3, 4);
  features.row(2) = factor * features.row(0);
  return Make(ReluNetwork(features, NormalVector(2, 3), 20), 3);
}

TEST(ReluNetworkTheory, RefusesParallelExamplesNamingTheEigenvalues) {
  for (const double factor : {1.0, 2.0, 0.0}) {  // a duplicate, a multiple, nothing
    const ProblemInstance problem = WithThirdExample(factor);
    const auto refused = Resolve(problem, PolyakMomentumSpec{}, Tuning::kTheorem);
    ASSERT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << factor;
    EXPECT_THAT(refused.status().message(), HasSubstr("eigenvalues reach from"));
    const auto accepted = Resolve(problem, PolyakMomentumSpec{0.1, 0.5}, Tuning::kTheorem);
    ASSERT_TRUE(accepted.ok());
    EXPECT_TRUE(std::isinf(accepted->prediction.condition_number));
    EXPECT_EQ(accepted->prediction.rate, 1);
    EXPECT_FALSE(accepted->bound.exists());
    EXPECT_EQ(Find(*accepted, "gram_matrix_positive_definite")->status, Assumption::Status::kUnmet);
  }
}

TEST(ReluNetworkTheory, AcceptsOppositeExamples) {
  // They are never active together: the Gram matrix stays positive definite.
  const auto theory = Resolve(WithThirdExample(-1), PolyakMomentumSpec{}, Tuning::kTheorem);
  ASSERT_TRUE(theory.ok());
  EXPECT_GT(theory->prediction.smallest_eigenvalue, 0.01);
}

}  // namespace
}  // namespace polyak::engine
