#include "server/engine/plans/tridiagonal.h"

#include <cmath>
#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/plans/dense.h"
#include "tests/unit/server/engine/plans/experiments.h"

namespace polyak::engine {
namespace {

using ::testing::HasSubstr;

// The second difference, which is tridiagonal already, turned by a reflection: full.
QuadraticSpec Turned(Eigen::Index dimension) {
  Matrix hessian = Matrix::Zero(dimension, dimension);
  hessian.diagonal().setConstant(2.1);
  hessian.diagonal(1).setConstant(-1);
  hessian.diagonal(-1).setConstant(-1);
  Vector u(dimension);
  for (Eigen::Index i = 0; i < dimension; ++i) {
    u(i) = std::sin(static_cast<double>(i * i + 1));
  }
  u.normalize();
  const Matrix reflection = Matrix::Identity(dimension, dimension) - 2 * u * u.transpose();
  const Matrix product = reflection * hessian * reflection;
  QuadraticSpec spec;
  spec.hessian = std::make_shared<const Matrix>(0.5 * (product + product.transpose()));
  spec.linear_term = std::make_shared<const Vector>(Vector::LinSpaced(dimension, -1, 1));
  return spec;
}

TEST(TridiagonalPlan, FitsQuadraticsWithAFullMatrixAlone) {
  for (const ProblemSpec& spec : EverySpec()) {
    const auto* const quadratic = std::get_if<QuadraticSpec>(&spec);
    const bool full =
        quadratic != nullptr && std::holds_alternative<LeastSquaresSpec>(quadratic->hessian);
    const OptimizerSpec optimizer = EveryOptimizer()[1];
    EXPECT_EQ(TridiagonalCost(spec, optimizer).has_value(), full);
    const Eligibility eligibility = TridiagonalEligible({InstanceOf(spec), optimizer});
    EXPECT_EQ(eligibility.eligible, full);
    EXPECT_THAT(eligibility.reason, HasSubstr(full                   ? "is tridiagonal"
                                              : quadratic != nullptr ? "diagonal already"
                                                                     : "no quadratic"));
  }
}

TEST(TridiagonalPlan, RunsWhatIsTooLargeForEigenvectorsAsDenseDoes) {
  const QuadraticSpec spec = Turned(kEigenvectorsDimensionMax + 37);
  const ProblemInstance instance = InstanceOf(spec);
  EXPECT_NE(std::get<std::shared_ptr<const QuadraticInstance>>(instance)->tridiagonal, nullptr);
  for (const OptimizerSpec& optimizer : EveryOptimizer()) {
    const Experiment experiment = {instance, optimizer};
    const auto choice = ChoosePlan({ExecutionPlan::kAuto, 1000}, spec, experiment);
    ASSERT_TRUE(choice.ok());
    EXPECT_EQ(choice->entry->name, "TRIDIAGONAL");
    const auto reduced = *MakeTridiagonalStepper(experiment);
    const auto dense = *MakeDenseStepper(experiment);
    double initial_loss = 0;
    for (int t = 0; t < 300; ++t) {
      const Observation expected = dense->Observe();
      const Observation observed = reduced->Observe();
      initial_loss = t == 0 ? expected.loss : initial_loss;
      ASSERT_NEAR(observed.loss, expected.loss, 1e-13 * initial_loss) << t;
      dense->Step();
      reduced->Step();
    }
  }
}

// What theory needs anyway is not the plan's cost.
TEST(TridiagonalPlan, CostsAFewIterationsOfDenseToSetUp) {
  const QuadraticSpec spec = Turned(400);
  const OptimizerSpec optimizer = EveryOptimizer()[1];
  const PlanCost dense = *DenseCost(spec, optimizer);
  const PlanCost reduced = *TridiagonalCost(spec, optimizer);
  EXPECT_EQ(reduced.setup_operations - dense.setup_operations, 4.0 * 400 * 400);
  EXPECT_EQ(reduced.operations_per_iteration, 16 * 400);
}

}  // namespace
}  // namespace polyak::engine
