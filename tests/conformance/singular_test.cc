// Problems without a condition number. Theory cannot choose for them; with every parameter given
// they run, uncertified, towards the minimiser nearest to their start.

#include <cmath>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/samples.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::RunToEnd;
using ::testing::HasSubstr;

// 4 (e_1 + e_2 + e_3 + e_4)(...)' / 4 + 2 (e_1 - e_2)(...)' / 2: eigenvalues 0, 0, 2, 4.
Matrix RankTwo() {
  Vector ones = Vector::Ones(4);
  Vector difference{{1, -1, 0, 0}};
  return ones * ones.transpose() + difference * difference.transpose();
}

QuadraticSpec Singular(bool diagonal) {
  QuadraticSpec spec;
  if (diagonal) {
    spec.hessian = std::make_shared<Vector>(Vector{{0, 2, 0, 4}});
    spec.linear_term = std::make_shared<Vector>(Vector{{0, 3, 0, -2}});
  } else {
    spec.hessian = std::make_shared<Matrix>(RankTwo());
    spec.linear_term = std::make_shared<Vector>(Vector{{5, -3, 1, 1}});  // 1 ones + 4 difference
  }
  spec.initial_point = std::make_shared<Vector>(Vector{{1, -2, 3, 0.5}});
  return spec;
}

// Stable for a largest eigenvalue of 4.
std::vector<OptimizerSpec> GivenMethods() {
  return {GradientDescentSpec{0.25}, PolyakMomentumSpec{0.25, 0.3},
          NesterovMomentumSpec{0.25, 0.3}};
}

void ExpectUncertified(const FinishedRun& run) {
  EXPECT_TRUE(std::isinf(run.theory.prediction.condition_number));
  EXPECT_TRUE(std::isinf(run.theory.prediction.theorem_condition_number));
  EXPECT_EQ(run.theory.prediction.rate, 1);
  EXPECT_TRUE(std::isnan(run.theory.prediction.constant));
  EXPECT_TRUE(std::isnan(run.theory.prediction.bound_rate));
  EXPECT_FALSE(run.theory.bound.exists());
  EXPECT_EQ(run.summary.certificate.verdict, Verdict::kNotApplicable);
}

TEST(SingularQuadratic, RunsToTheMinimiserNearestToItsStart) {
  StoppingRule stopping;
  stopping.max_iterations = 200;
  for (const bool diagonal : {true, false}) {
    const QuadraticSpec spec = Singular(diagonal);
    for (const OptimizerSpec& optimizer : GivenMethods()) {
      SCOPED_TRACE(std::to_string(diagonal) + ", optimizer " + std::to_string(optimizer.index()));
      const FinishedRun run = RunToEnd(spec, optimizer, stopping);
      ExpectUncertified(run);
      // The slowest of the two directions that move shrinks by a factor of at most 0.6 an
      // iteration: after 200 only the rounding of numbers of the size of 10 is left.
      EXPECT_LE(run.rows.residual_norm.back(), 1e-14);
      EXPECT_LE(run.rows.loss.back(), 1e-14);
    }
    // xi_0 = w_0 - w* has no part in the null space, or w* would not be the nearest.
    const auto instance = MakeQuadraticInstance(spec, Seed{0});
    ASSERT_TRUE(instance.ok()) << instance.status();
    const Vector residual = (*instance)->initial_point - (*instance)->minimiser;
    const Matrix null_space = diagonal ? Matrix{{1, 0}, {0, 0}, {0, 1}, {0, 0}}
                                       : Matrix{{1, 0}, {1, 0}, {-1, 1}, {-1, -1}};
    EXPECT_LE((null_space.transpose() * residual).norm(), 1e-14);  // rounding of sums of 4 terms
  }
}

TEST(SingularQuadratic, IsRefusedWhereAParameterMustComeFromTheory) {
  for (const bool diagonal : {true, false}) {
    const auto instance = Instantiate(Singular(diagonal), Seed{0});
    ASSERT_TRUE(instance.ok()) << instance.status();
    for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
      for (const OptimizerSpec& optimizer :
           {OptimizerSpec(GradientDescentSpec{}), OptimizerSpec(PolyakMomentumSpec{}),
            OptimizerSpec(PolyakMomentumSpec{0.25, std::nullopt}),
            OptimizerSpec(PolyakMomentumSpec{std::nullopt, 0.5}),
            OptimizerSpec(NesterovMomentumSpec{})}) {
        const auto theory = Resolve(*instance, optimizer, tuning);
        ASSERT_FALSE(theory.ok());
        EXPECT_EQ(theory.status().code(), absl::StatusCode::kInvalidArgument);
        EXPECT_THAT(std::string(theory.status().message()), HasSubstr("singular"));
      }
    }
  }
}

TEST(SingularQuadratic, IsRefusedWhenUnboundedBelow) {
  for (const bool diagonal : {true, false}) {
    QuadraticSpec spec = Singular(diagonal);
    Vector linear_term = *spec.linear_term;
    linear_term(2) += 1e-3;  // a part in the null space
    spec.linear_term = std::make_shared<Vector>(linear_term);
    const auto instance = Instantiate(spec, Seed{0});
    ASSERT_FALSE(instance.ok());
    EXPECT_EQ(instance.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(instance.status().message()), HasSubstr("unbounded below"));
  }
}

TEST(IndefiniteQuadratic, IsRefusedWithItsEigenvalues) {
  QuadraticSpec diagonal;
  diagonal.hessian = std::make_shared<Vector>(Vector{{-0.5, 2}});
  QuadraticSpec matrix;
  matrix.hessian = std::make_shared<Matrix>(Matrix{{1, 2}, {2, 1}});  // eigenvalues -1 and 3
  for (const auto& [spec, smallest] : {std::pair(diagonal, "-0.5"), std::pair(matrix, "-1")}) {
    const auto instance = Instantiate(spec, Seed{0});
    ASSERT_FALSE(instance.ok());
    EXPECT_EQ(instance.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(instance.status().message()),
                HasSubstr(std::string("smallest eigenvalue of the Hessian is ") + smallest));
  }
}

ReluNetworkSpec WithDuplicates() {
  auto data = std::make_shared<Dataset>();
  data->features = Matrix{{0.6, 0.8}, {1, 0}, {0.6, 0.8}};
  data->targets = Matrix{{1}, {-1}, {0.5}};
  ReluNetworkSpec spec;
  spec.dataset.source = std::shared_ptr<const Dataset>(data);
  spec.width = 200;
  return spec;
}

TEST(DuplicateExamples, AreRefusedWhereAParameterMustComeFromTheory) {
  const auto instance = Instantiate(WithDuplicates(), Seed{0});
  ASSERT_TRUE(instance.ok()) << instance.status();
  for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
    for (const OptimizerSpec& optimizer : Optimizers()) {
      const auto theory = Resolve(*instance, optimizer, tuning);
      ASSERT_FALSE(theory.ok());
      EXPECT_EQ(theory.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(theory.status().message()), HasSubstr("duplicate examples"));
    }
  }
}

TEST(DuplicateExamples, RunUncertifiedWithGivenParameters) {
  StoppingRule stopping;
  stopping.max_iterations = 400;
  for (const OptimizerSpec& optimizer :
       {OptimizerSpec(GradientDescentSpec{0.5}), OptimizerSpec(PolyakMomentumSpec{0.5, 0.5}),
        OptimizerSpec(NesterovMomentumSpec{0.5, 0.5})}) {
    SCOPED_TRACE(optimizer.index());
    const FinishedRun run = RunToEnd(WithDuplicates(), optimizer, stopping);
    ExpectUncertified(run);
    EXPECT_EQ(run.progress.reason, StopReason::kMaxIterations);
    // One input with two targets, 0.5 apart: the best is their mean, with 2 (1/4)^2 / 2 left. By
    // then everything that can shrink has shrunk by 0.9^400.
    EXPECT_NEAR(run.rows.loss.back(), 0.0625, 1e-13);
    EXPECT_LT(run.rows.loss.back(), run.rows.loss.front());
  }
}

}  // namespace
}  // namespace polyak::conformance
