#include <Eigen/Eigenvalues>

#include <cmath>
#include <limits>
#include <memory>

#include "gtest/gtest.h"
#include "server/engine/theory/theory.h"
#include "tests/support/problems.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::DeepLinearNetwork;
using ::polyak::testing_support::Diagonal;
using ::polyak::testing_support::LogUniform;
using ::polyak::testing_support::Make;
using ::polyak::testing_support::NormalEntries;
using ::polyak::testing_support::NormalVector;
using ::polyak::testing_support::ReluNetwork;
using ::polyak::testing_support::Rotated;
using ::polyak::testing_support::Share;
using ::polyak::testing_support::UnitRows;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

TEST(Linearize, OfADiagonalQuadraticKeepsItsCoordinates) {
  Vector eigenvalues(3);
  eigenvalues << 4, 1, 2;
  QuadraticSpec spec = Diagonal(eigenvalues);
  Vector linear_term(3);
  linear_term << 4, 3, -2;  // w* = (1, 3, -1)
  spec.linear_term = Share(linear_term);
  spec.initial_point = Share(Vector(Vector::Zero(3)));
  const LinearizedStart start = Linearize(Make(spec));
  EXPECT_EQ(start.eigenvalues, eigenvalues);
  Vector weights(3);
  weights << 1, 3, 1;
  EXPECT_EQ(start.weights, weights);
}

TEST(Linearize, OfAMatrixQuadraticTurnsIntoTheEigenbasis) {
  const Vector eigenvalues = LogUniform(5, 100, 3);
  const ProblemInstance problem = Make(Rotated(eigenvalues, 1), 2);
  const auto& quadratic = *std::get<std::shared_ptr<const QuadraticInstance>>(problem);
  const LinearizedStart start = Linearize(problem);
  ASSERT_TRUE(start.available());
  EXPECT_TRUE(start.eigenvalues.isApprox(eigenvalues, 100 * kEpsilon * 100));
  // sum of weight_i^2 lambda_i^k = xi_0' H^k xi_0 for every k: they belong to their eigenvalues.
  const Matrix& hessian = quadratic.matrix();
  Vector power = quadratic.initial_point;  // xi_0, since b = 0
  for (int k = 0; k < 4; ++k) {
    const double expected = quadratic.initial_point.dot(power);
    const double moment = (start.weights.array().square() * start.eigenvalues.array().pow(k)).sum();
    EXPECT_NEAR(moment, expected, 200 * kEpsilon * expected) << k;
    power = (hessian * power).eval();
  }
}

// Without the eigenvectors themselves: too large for them.
TEST(Linearize, OfALargeMatrixIsThatOfItsDiagonal) {
  const Eigen::Index dimension = kEigenvectorsDimensionMax + 70;
  const Vector eigenvalues = LogUniform(dimension, 10);
  QuadraticSpec spec;
  spec.hessian = Share(Matrix(eigenvalues.asDiagonal()));
  const LinearizedStart matrix = Linearize(Make(spec));
  const LinearizedStart diagonal = Linearize(Make(Diagonal(eigenvalues)));
  EXPECT_EQ(matrix.eigenvalues, diagonal.eigenvalues);  // nothing is left to reduce
  EXPECT_EQ(matrix.weights, diagonal.weights);

  // Turned: the same moments, whatever the order.
  const LinearizedStart turned = Linearize(Make(Rotated(eigenvalues, 4)));
  ASSERT_TRUE(turned.available());
  EXPECT_NEAR(turned.eigenvalues.sum(), eigenvalues.sum(), 1e-13 * eigenvalues.sum());
  EXPECT_NEAR(turned.weights.norm(), diagonal.weights.norm(), 1e-13 * diagonal.weights.norm());
}

TEST(Linearize, OfAReluNetworkIsTheGramMatrixOfItsStart) {
  const Matrix features = UnitRows(1, 6, 4);
  const Vector targets = NormalVector(2, 6);
  const ProblemInstance problem = Make(ReluNetwork(features, targets, 50), 3);
  const auto& network = *std::get<std::shared_ptr<const ReluNetworkInstance>>(problem);
  // H0 and xi_0 once more, entry by entry.
  Matrix weights(50, 4);
  FillInitialHiddenWeights(network, 0, weights);
  const Vector signs = OutputWeights(network);
  Matrix gram = Matrix::Zero(6, 6);
  Vector residual = -targets;
  for (Eigen::Index r = 0; r < 50; ++r) {
    for (Eigen::Index i = 0; i < 6; ++i) {
      const double z = weights.row(r).dot(features.row(i));
      residual(i) += z > 0 ? signs(r) * z / std::sqrt(50.0) : 0;
      for (Eigen::Index j = 0; j < 6; ++j) {
        const bool both = z > 0 && weights.row(r).dot(features.row(j)) > 0;
        gram(i, j) += both ? features.row(i).dot(features.row(j)) / 50 : 0;
      }
    }
  }
  const LinearizedStart start = Linearize(problem);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(gram);
  EXPECT_TRUE(start.eigenvalues.isApprox(solver.eigenvalues(), 1e-13));
  EXPECT_TRUE(
      start.weights.isApprox((solver.eigenvectors().transpose() * residual).cwiseAbs(), 1e-12));
}

TEST(Linearize, OfADeepLinearNetworkIsTheSpectrumOfItsData) {
  const Matrix features = NormalEntries(1, 9, 3);
  const ProblemInstance problem =
      Make(DeepLinearNetwork(features, NormalEntries(2, 9, 2), 20, 4), 3);
  const LinearizedStart start = Linearize(problem);
  ASSERT_TRUE(start.available());
  // L / d_y times the eigenvalues of X X', largest first.
  const Vector squares =
      Eigen::SelfAdjointEigenSolver<Matrix>(features.transpose() * features).eigenvalues();
  EXPECT_TRUE(start.eigenvalues.isApprox(2 * squares.reverse(), 1e-13));
  EXPECT_NEAR(
      start.weights.norm(),
      MakeProblem(problem)->Evaluate(MakeProblem(problem)->initial_point(), nullptr).residual_norm,
      1e-12 * start.weights.norm());
}

// The eigenvalues are the true linearisation: the loss at w_0 - s grad, s -> 0, falls by
// s xi_0' H0 xi_0, which is |grad|^2.
TEST(Linearize, AgreesWithTheGradientOfTheLoss) {
  const ProblemInstance problems[] = {
      Make(ReluNetwork(UnitRows(1, 6, 4), NormalVector(2, 6), 50), 3),
      Make(DeepLinearNetwork(NormalEntries(1, 9, 3), NormalEntries(2, 9, 2), 20, 4), 3)};
  for (const ProblemInstance& instance : problems) {
    const std::unique_ptr<Problem> problem = MakeProblem(instance);
    const Vector start_point = problem->initial_point();
    Vector gradient(problem->dimension());
    problem->Evaluate(start_point, &gradient);
    const LinearizedStart start = Linearize(instance);
    const double quadratic_form = start.eigenvalues.dot(start.weights.cwiseAbs2());
    EXPECT_NEAR(gradient.squaredNorm(), quadratic_form, 1e-12 * quadratic_form);
  }
}

TEST(Linearize, IsNotThereForAGaussianDeepLinearStart) {
  DeepLinearNetworkSpec spec =
      DeepLinearNetwork(NormalEntries(1, 9, 3), NormalEntries(2, 9, 2), 20, 4);
  spec.initialization = DeepLinearInitialization::kGaussian;
  EXPECT_FALSE(Linearize(Make(spec)).available());
}

}  // namespace
}  // namespace polyak::engine
