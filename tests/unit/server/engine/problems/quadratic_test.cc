#include "server/engine/problems/quadratic.h"

#include <malloc.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/linalg/tile_kernels.h"
#include "tests/support/problems.h"

namespace polyak::engine {
namespace {

using ::testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

QuadraticSpec WithMatrix(const Matrix& matrix) {
  QuadraticSpec spec;
  spec.hessian = std::make_shared<Matrix>(matrix);
  return spec;
}

QuadraticSpec WithDiagonal(const Vector& diagonal) {
  QuadraticSpec spec;
  spec.hessian = std::make_shared<Vector>(diagonal);
  return spec;
}

std::shared_ptr<const QuadraticInstance> Make(const QuadraticSpec& spec, Seed seed = {}) {
  auto instance = MakeQuadraticInstance(spec, seed);
  EXPECT_TRUE(instance.ok()) << instance.status();
  return *instance;
}

TEST(Quadratic, EvaluatesLossResidualAndGradientOfAMatrix) {
  QuadraticSpec spec = WithMatrix(Matrix{{2, 1}, {1, 3}});
  spec.linear_term = std::make_shared<Vector>(Vector{{4, 7}});  // w* = (1, 2)
  spec.initial_point = std::make_shared<Vector>(Vector{{2, 0}});
  const auto problem = MakeQuadraticProblem(Make(spec));
  EXPECT_EQ(problem->dimension(), 2);
  EXPECT_EQ(problem->initial_point(), (Vector{{2, 0}}));
  Vector gradient(2);
  const Observation observation = problem->Evaluate(problem->initial_point(), &gradient);
  // xi = (1, -2): |xi|^2 = 5, xi'H xi = 2 - 4 + 12 = 10. Whole numbers but for w*, good to 2 eps.
  EXPECT_NEAR(observation.loss, 5, 1e-14);
  EXPECT_NEAR(observation.residual_norm, std::sqrt(5.0), 1e-14);
  EXPECT_EQ(gradient, (Vector{{0, -5}}));
}

TEST(Quadratic, EvaluatesLossResidualAndGradientOfADiagonal) {
  QuadraticSpec spec = WithDiagonal(Vector{{4, 1}});
  spec.linear_term = std::make_shared<Vector>(Vector{{4, -3}});  // w* = (1, -3)
  spec.initial_point = std::make_shared<Vector>(Vector{{0, 0}});
  const auto instance = Make(spec);
  EXPECT_TRUE(instance->is_diagonal());
  EXPECT_EQ(instance->minimiser, (Vector{{1, -3}}));
  // Sorted, whatever the order of the coordinates.
  EXPECT_EQ(instance->spectrum.eigenvalues, (Vector{{1, 4}}));
  Vector gradient(2);
  const auto problem = MakeQuadraticProblem(instance);
  const Observation observation = problem->Evaluate(Vector{{0, 0}}, &gradient);
  EXPECT_EQ(observation.loss, 0.5 * (4 * 1 + 1 * 9));
  EXPECT_EQ(observation.residual_norm, std::sqrt(10.0));
  EXPECT_EQ(gradient, (Vector{{-4, 3}}));
}

TEST(Quadratic, NeedsNoGradient) {
  for (const QuadraticSpec& spec :
       {WithMatrix(Matrix{{2, 1}, {1, 3}}), WithDiagonal(Vector{{2, 3}})}) {
    const auto problem = MakeQuadraticProblem(Make(spec));
    Vector gradient(2);
    const Observation with = problem->Evaluate(problem->initial_point(), &gradient);
    const Observation without = problem->Evaluate(problem->initial_point(), nullptr);
    EXPECT_EQ(with.loss, without.loss);
    EXPECT_EQ(with.residual_norm, without.residual_norm);
    EXPECT_TRUE(std::isnan(problem->flipped_share()));
  }
}

TEST(Quadratic, IsItsDiagonalWhicheverWayItIsGiven) {
  const Vector diagonal{{1, 2, 5}};
  QuadraticSpec one = WithDiagonal(diagonal);
  QuadraticSpec two = WithMatrix(diagonal.asDiagonal());
  one.linear_term = two.linear_term = std::make_shared<Vector>(Vector{{1, -4, 10}});
  const Vector w{{0.5, 0.25, -1}};
  Vector first(3);
  Vector second(3);
  const auto diagonal_problem = MakeQuadraticProblem(Make(one));
  const auto matrix_problem = MakeQuadraticProblem(Make(two));
  const Observation a = diagonal_problem->Evaluate(w, &first);
  const Observation b = matrix_problem->Evaluate(w, &second);
  EXPECT_EQ(first, second);
  EXPECT_EQ(a.loss, b.loss);  // every number is short
  EXPECT_EQ(a.residual_norm, b.residual_norm);
}

TEST(Quadratic, StartsAtASeededNormalPointUnlessTold) {
  const QuadraticSpec spec = WithDiagonal(Vector::LinSpaced(9, 1, 2));
  const auto instance = Make(spec, Seed{4});
  Vector expected(9);
  const RandomStream stream(Seed{4}, DrawPurpose::kInitialPoint);
  for (Eigen::Index i = 0; i < 9; ++i) {
    expected(i) = stream.Normal(static_cast<uint64_t>(i));
  }
  EXPECT_EQ(instance->initial_point, expected);
  EXPECT_NE(Make(spec, Seed{5})->initial_point, expected);
}

TEST(Quadratic, TakesZeroForALinearTermThatIsNotGiven) {
  const auto instance = Make(WithMatrix(Matrix{{2, 1}, {1, 3}}));
  EXPECT_EQ(instance->linear_term, Vector::Zero(2));
  EXPECT_EQ(instance->minimiser, Vector::Zero(2));
}

TEST(Quadratic, IsTheNormalEquationsOfLeastSquares) {
  auto data = std::make_shared<Dataset>();
  data->features = Matrix{{1, 2}, {0, 1}, {2, 0}, {-1, 1}};
  data->targets = Matrix{{1}, {2}, {-1}, {4}};
  LeastSquaresSpec least_squares;
  least_squares.dataset.source = std::shared_ptr<const Dataset>(data);
  least_squares.ridge = 0.5;
  QuadraticSpec spec;
  spec.hessian = least_squares;
  const auto instance = Make(spec);
  // A'A = [6 1; 1 6], A'y = [-5; 8], n = 4: whole numbers over 4, exact.
  EXPECT_EQ(instance->matrix(), (Matrix{{2, 0.25}, {0.25, 2}}));
  EXPECT_EQ(instance->linear_term, (Vector{{-1.25, 2}}));
}

TEST(Quadratic, FindsTheMinimiserOfAnIllConditionedMatrix) {
  // Hilbert's matrix of order 6, kappa = 1.5e7, times 27720: whole numbers, with w* = 1.
  Matrix hessian(6, 6);
  for (Eigen::Index i = 0; i < 6; ++i) {
    for (Eigen::Index j = 0; j < 6; ++j) {
      hessian(i, j) = 27720.0 / static_cast<double>(i + j + 1);
    }
  }
  QuadraticSpec spec = WithMatrix(hessian);
  spec.linear_term = std::make_shared<Vector>(hessian * Vector::Ones(6));
  // The refinement sums in long double: kappa 2^-64 and a few roundings.
  EXPECT_LE((Make(spec)->minimiser - Vector::Ones(6)).cwiseAbs().maxCoeff(), 1.5e7 * 0x1p-60);
}

TEST(Quadratic, RecordsWhatIsNoNumberAsItself) {
  for (const QuadraticSpec& spec :
       {WithMatrix(Matrix{{2, 1}, {1, 3}}), WithDiagonal(Vector{{2, 3}})}) {
    const auto problem = MakeQuadraticProblem(Make(spec));
    const Observation lost = problem->Evaluate(Vector{{kNaN, 1}}, nullptr);
    EXPECT_TRUE(std::isnan(lost.loss));
    EXPECT_TRUE(std::isnan(lost.residual_norm));
    const Observation beyond = problem->Evaluate(Vector{{1e200, 1}}, nullptr);
    EXPECT_TRUE(std::isinf(beyond.loss));
    EXPECT_TRUE(std::isinf(beyond.residual_norm));
  }
}

TEST(Quadratic, TakesTheMinimiserNearestToTheStartWhereHIsSingular) {
  QuadraticSpec diagonal = WithDiagonal(Vector{{0, 2}});
  diagonal.linear_term = std::make_shared<Vector>(Vector{{0, 6}});
  diagonal.initial_point = std::make_shared<Vector>(Vector{{5, -1}});
  EXPECT_EQ(Make(diagonal)->minimiser, (Vector{{5, 3}}));
  // f depends on w_1 + w_2 only, and wants it to be 4: from (5, 1) that is (4, 0).
  QuadraticSpec matrix = WithMatrix(Matrix{{1, 1}, {1, 1}});
  matrix.linear_term = std::make_shared<Vector>(Vector{{4, 4}});
  matrix.initial_point = std::make_shared<Vector>(Vector{{5, 1}});
  EXPECT_LE((Make(matrix)->minimiser - Vector{{4, 0}}).norm(), 1e-14);  // eigenvectors, a few eps
}

absl::Status Refusal(const QuadraticSpec& spec) {
  return MakeQuadraticInstance(spec, Seed{}).status();
}

TEST(Quadratic, RefusesWhatHasNoMinimum) {
  QuadraticSpec unbounded = WithDiagonal(Vector{{0, 2}});
  unbounded.linear_term = std::make_shared<Vector>(Vector{{1, 0}});
  for (const QuadraticSpec& spec :
       {WithDiagonal(Vector{{-1, 2}}), WithMatrix(Matrix{{1, 2}, {2, 1}}),
        WithDiagonal(Vector{{0, 0}}), WithMatrix(Matrix::Zero(2, 2)), unbounded}) {
    EXPECT_EQ(Refusal(spec).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(Refusal(spec).message()), HasSubstr("accepted: "));
  }
  EXPECT_THAT(std::string(Refusal(unbounded).message()), HasSubstr("unbounded below"));
}

// contract: indefinite is below -1e-13 of the largest, singular up to 1e-13 of it.
TEST(Quadratic, DrawsTheLinesWhereTheContractDrawsThem) {
  EXPECT_TRUE(MakeQuadraticInstance(WithDiagonal(Vector{{-0.9e-13, 1}}), Seed{}).ok());
  EXPECT_FALSE(MakeQuadraticInstance(WithDiagonal(Vector{{-1.1e-13, 1}}), Seed{}).ok());
  QuadraticSpec singular = WithDiagonal(Vector{{0.9e-13, 1}});
  singular.linear_term = std::make_shared<Vector>(Vector{{1e-13, 1}});
  singular.initial_point = std::make_shared<Vector>(Vector{{7, 7}});
  // Counts as null space: b's part there is within 1e-9 of |b|, the start's coordinate stays.
  EXPECT_EQ(Make(singular)->minimiser, (Vector{{7, 1}}));
  QuadraticSpec regular = WithDiagonal(Vector{{1.1e-13, 1}});
  regular.linear_term = std::make_shared<Vector>(Vector{{2.2e-13, 1}});
  EXPECT_EQ(Make(regular)->minimiser(0), 2);
}

// What a known instance lends.

std::shared_ptr<const QuadraticInstance> MadeLike(
    const QuadraticSpec& spec, int64_t seed,
    const std::vector<std::shared_ptr<const QuadraticInstance>>& known) {
  auto instance = MakeQuadraticInstance(spec, Seed{seed}, known);
  EXPECT_TRUE(instance.ok()) << instance.status();
  return *std::move(instance);
}

void ExpectSameInstance(const QuadraticInstance& a, const QuadraticInstance& b) {
  EXPECT_EQ(a.matrix(), b.matrix());
  EXPECT_EQ(a.linear_term, b.linear_term);
  EXPECT_EQ(a.initial_point, b.initial_point);
  EXPECT_EQ(a.spectrum.eigenvalues, b.spectrum.eigenvalues);
  EXPECT_EQ(a.spectrum.eigenvectors, b.spectrum.eigenvectors);
  EXPECT_EQ(a.minimiser, b.minimiser);
  ASSERT_EQ(a.tridiagonal == nullptr, b.tridiagonal == nullptr);
  if (a.tridiagonal != nullptr) {
    EXPECT_EQ(a.tridiagonal->diagonal(), b.tridiagonal->diagonal());
    EXPECT_EQ(a.tridiagonal->off_diagonal(), b.tridiagonal->off_diagonal());
  }
}

// With eigenvectors and without them, and singular.
TEST(KnownQuadratics, LendWhatIsTheSameAndNothingElse) {
  for (const Eigen::Index size : {12, 140}) {
    for (const bool singular : {false, true}) {
      Vector eigenvalues = testing_support::LogUniform(size, 100);
      if (singular) {
        eigenvalues(0) = 0;
      }
      QuadraticSpec spec = testing_support::Rotated(eigenvalues, 3);
      const auto first = MadeLike(spec, 1, {});
      EXPECT_EQ(MadeLike(spec, 1, {first}), first);

      const auto other_start = MadeLike(spec, 2, {first});
      EXPECT_EQ(&other_start->matrix(), &first->matrix());
      EXPECT_EQ(other_start->tridiagonal, first->tridiagonal);
      ExpectSameInstance(*other_start, *MadeLike(spec, 2, {}));

      QuadraticSpec shifted = spec;
      const Matrix& hessian = *std::get<std::shared_ptr<const Matrix>>(spec.hessian);
      shifted.linear_term =
          testing_support::Share(Vector(hessian * testing_support::NormalVector(9, size)));
      const auto other_term = MadeLike(shifted, 1, {first, other_start});
      EXPECT_EQ(&other_term->matrix(), &first->matrix());
      ExpectSameInstance(*other_term, *MadeLike(shifted, 1, {}));
      ExpectSameInstance(*MadeLike(shifted, 2, {other_term}), *MadeLike(shifted, 2, {}));

      Matrix nearly = hessian;
      nearly(0, 0) = std::nextafter(nearly(0, 0), 2.0);
      spec.hessian = testing_support::Share(nearly);
      const auto other_matrix = MadeLike(spec, 1, {first, other_term});
      EXPECT_NE(&other_matrix->matrix(), &first->matrix());
      ExpectSameInstance(*other_matrix, *MadeLike(spec, 1, {}));
    }
  }
}

// The sanitizers' allocators do not count like that.
#if !defined(POLYAK_THREAD_SANITIZER) && !defined(__SANITIZE_ADDRESS__)
// Whoever lent nothing is gone before the spectrum is computed: what that allocates and keeps comes
// later.
TEST(KnownQuadratics, AreLetGoBeforeAnythingIsComputed) {
  const auto allocated = [] {
    const struct mallinfo2 info = mallinfo2();
    return static_cast<int64_t>(info.uordblks + info.hblkhd);
  };
  constexpr Eigen::Index kSize = 100;
  const QuadraticSpec spec = testing_support::Rotated(testing_support::LogUniform(kSize, 100), 3);
  int64_t when_let_go = -1;
  std::vector<std::shared_ptr<const QuadraticInstance>> known;
  known.emplace_back(
      new QuadraticInstance(*MadeLike(testing_support::Rotated(Vector::Ones(2), 1), 1, {})),
      [&](const QuadraticInstance* instance) {
        when_let_go = allocated();
        delete instance;
      });
  const auto instance = MakeQuadraticInstance(spec, Seed{1}, std::move(known));
  ASSERT_TRUE(instance.ok());
  ASSERT_TRUE((*instance)->spectrum.eigenvectors.has_value());
  constexpr int64_t kEigenvectorBytes = kSize * kSize * sizeof(double);
  EXPECT_GE(allocated() - when_let_go, kEigenvectorBytes * 9 / 10);
}
#endif

TEST(MatrixQuadratic, EvaluatesAProductThatIsThereToTheSameBits) {
  QuadraticSpec spec = testing_support::Rotated(testing_support::LogUniform(37, 50), 4);
  spec.linear_term = testing_support::Share(testing_support::NormalVector(5, 37));
  const auto instance = MadeLike(spec, 0, {});
  const auto problem = MakeQuadraticProblem(instance);
  const Vector w = testing_support::NormalVector(6, 37);
  Vector gradient(37);
  const Observation observation = problem->Evaluate(w, &gradient);
  Vector product(37);
  const double* const vector = w.data();
  double* const place = product.data();
  ASSERT_EQ(problem->product_matrix(), &instance->matrix());
  WidestTileKernels().matrix_products(37, problem->product_matrix()->data(), 1, &vector, &place);
  const Observation shared = problem->EvaluateProduct(w, product);
  EXPECT_EQ(shared.loss, observation.loss);
  EXPECT_EQ(shared.residual_norm, observation.residual_norm);
  EXPECT_EQ(product, gradient);
  EXPECT_EQ(problem->Evaluate(w, nullptr).loss, observation.loss);
}

}  // namespace
}  // namespace polyak::engine
