// Every record of a quadratic against the exact curve, by long double in the eigenbasis.
//
// Tolerances. One iteration rounds the product H w (n terms: n eps / 2), its difference with b, the
// memory and the iterate (eps / 2 each): a kick of at most (n / 2 + 3) eps (|xi_t| + |w*|) to the
// residual. A kick k iterations ago comes back times g_k, the method's answer to an impulse: |g_k|
// <= 1 for GD, <= k + 1 with momentum (|roots| <= 1), and the sum over all k is 1 / z at real
// roots, 1 / (1 - r)^2 = kappa / 4 at the double root of Polyak ASYMPTOTIC, so kappa / (eta alpha)
// covers all. That is the bound on the residual norm (ResidualTolerance). The minimiser itself is
// known to about kappa n 2^-64 |w*| when it comes from a full matrix: its refinement sums in long
// double.
//
// Loss. d loss = sum h_i c_i dc_i. In the low directions h weighs what the answer gains: h_i / (eta
// h_i). In the top one, under Polyak ASYMPTOTIC, kicks of independent signs give dc = eps (|xi|
// sqrt(sum k^2 r^{2k})) = eps |xi| 0.18 kappa^{3/4} (1 - r = 2 / sqrt kappa), so 0.36 kappa^{3/4}
// eps of the largest loss: at kappa = 1e8 a third of 100 eps sqrt(kappa), and the share grows as
// kappa^{1/4}. With THEOREM parameters the same sum is over a damped oscillation, below 1e-13 of
// the initial loss (seen: 7e-14).

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "tests/conformance/quadratic_cases.h"
#include "tests/reference/quadratic.h"
#include "tests/support/run.h"

namespace polyak::conformance {
namespace {

using engine::GradientDescentSpec;
using engine::NesterovMomentumSpec;
using engine::OptimizerSpec;
using engine::PolyakMomentumSpec;
using engine::SpectrumShape;
using engine::StoppingRule;
using engine::StopReason;
using engine::Tuning;
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::RunToEnd;

constexpr long double kEpsilon = std::numeric_limits<double>::epsilon();

constexpr SpectrumShape kShapes[] = {SpectrumShape::kUniform, SpectrumShape::kLogUniform,
                                     SpectrumShape::kTwoClusters, SpectrumShape::kChebyshev};

struct MethodCase {
  std::string name;
  OptimizerSpec optimizer;
  Tuning tuning = Tuning::kTheorem;
  bool tight = false;  // 1e-12 of the initial loss
};

// Explicit parameters are for a largest eigenvalue of 1.
std::vector<MethodCase> Methods() {
  return {{"GD THEOREM", GradientDescentSpec{}, Tuning::kTheorem, true},
          {"GD ASYMPTOTIC", GradientDescentSpec{}, Tuning::kAsymptotic, true},
          {"GD explicit", GradientDescentSpec{1.5}, Tuning::kTheorem, true},
          {"Polyak THEOREM", PolyakMomentumSpec{}, Tuning::kTheorem, true},
          {"Polyak ASYMPTOTIC", PolyakMomentumSpec{}, Tuning::kAsymptotic, false},
          {"Polyak explicit", PolyakMomentumSpec{1.2, 0.9}, Tuning::kTheorem, false},
          {"Nesterov THEOREM", NesterovMomentumSpec{}, Tuning::kTheorem, true},
          {"Nesterov ASYMPTOTIC", NesterovMomentumSpec{}, Tuning::kAsymptotic, false},
          {"Nesterov explicit", NesterovMomentumSpec{0.8, 0.95}, Tuning::kTheorem, false}};
}

// largest: of |xi| so far.
long double ResidualTolerance(const QuadraticCase& problem, const reference::Method& method,
                              size_t iteration, long double largest) {
  const long double terms = problem.diagonal ? 1 : problem.eigenvalues.size();
  const long double kappa = problem.condition_number;
  const long double kick = (terms / 2 + 3) * kEpsilon * (largest + problem.minimiser_norm);
  const auto steps = static_cast<long double>(iteration + 1);
  const long double answers =
      method.kind == reference::MethodKind::kGradientDescent ? steps : steps * (steps + 1) / 2;
  const long double minimiser =
      problem.diagonal ? 0 : kappa * terms * 0x1p-64L * problem.minimiser_norm;
  // eta alpha >= 0.8 in all cases here.
  return kick * std::min(answers, kappa / 0.8L) + minimiser;
}

void ExpectTheExactCurve(const QuadraticCase& problem, const MethodCase& method,
                         int64_t iterations) {
  StoppingRule stopping;
  stopping.max_iterations = iterations;
  const FinishedRun run = RunToEnd(problem.spec, method.optimizer, stopping, method.tuning);
  const reference::Method exact_method = ToReference(run.theory.optimizer);
  const std::vector<reference::Record> exact =
      reference::QuadraticCurve(problem.eigenvalues, problem.residual, exact_method, iterations);
  EXPECT_EQ(run.progress.reason, StopReason::kMaxIterations);
  ASSERT_EQ(run.rows.loss.size(), exact.size());
  const long double root = std::sqrt(static_cast<long double>(problem.condition_number));
  long double largest_loss = 0;
  long double largest_residual = 0;
  for (size_t t = 0; t < exact.size(); ++t) {
    largest_loss = std::max(largest_loss, exact[t].loss);
    largest_residual = std::max(largest_residual, exact[t].residual_norm);
    const long double loss_tolerance =
        method.tight ? 1e-12L * exact[0].loss : 100 * kEpsilon * root * largest_loss;
    // One failure a run is enough to read.
    ASSERT_LE(std::abs(run.rows.loss[t] - exact[t].loss), loss_tolerance) << "iteration " << t;
    ASSERT_LE(std::abs(run.rows.residual_norm[t] - exact[t].residual_norm),
              ResidualTolerance(problem, exact_method, t, largest_residual))
        << "iteration " << t;
  }
}

struct Form {
  std::string name;
  bool diagonal;
  LinearTerm linear_term;
};

class QuadraticCurves : public ::testing::TestWithParam<std::tuple<Form, double>> {};

TEST_P(QuadraticCurves, EqualTheExactRecursionAtEveryRecord) {
  const auto& [form, kappa] = GetParam();
  // Eight e-folds of the accelerated rate, at kappa = 1e8 three of them; the peak of ASYMPTOTIC is
  // at sqrt(kappa) / 2.
  const auto iterations = static_cast<int64_t>(std::min(8 * std::sqrt(kappa) + 200, 30000.0));
  for (const SpectrumShape shape : kShapes) {
    const QuadraticCase problem = form.diagonal
                                      ? DiagonalCase({16, kappa, 1, shape}, form.linear_term)
                                      : MatrixCase(shape, kappa, form.linear_term);
    for (const MethodCase& method : Methods()) {
      SCOPED_TRACE(Name(shape) + ", " + method.name);
      ExpectTheExactCurve(problem, method, iterations);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, QuadraticCurves,
    ::testing::Combine(::testing::Values(Form{"Diagonal", true, LinearTerm::kZero},
                                         Form{"DiagonalWithLinearTerm", true, LinearTerm::kNonZero},
                                         Form{"Matrix", false, LinearTerm::kZero},
                                         Form{"MatrixWithLinearTerm", false, LinearTerm::kNonZero}),
                       ::testing::Values(2.0, 1e2, 1e4, 1e6, 1e8)),
    [](const auto& info) {
      return std::get<0>(info.param).name + "Kappa" +
             std::to_string(std::llround(std::get<1>(info.param)));
    });

TEST(QuadraticCurves, EqualTheExactRecursionInManyDimensions) {
  for (const SpectrumShape shape : kShapes) {
    const QuadraticCase problem = DiagonalCase({1000, 1e4, 1, shape}, LinearTerm::kNonZero);
    for (const MethodCase& method : Methods()) {
      SCOPED_TRACE(Name(shape) + ", " + method.name);
      ExpectTheExactCurve(problem, method, 500);
    }
  }
}

// The judge is judged: its recursion against powers of the roots, complex, real and double.
TEST(TheReference, FollowsTheClosedFormOfEachKindOfRoot) {
  using reference::Method;
  using reference::MethodKind;
  struct RootCase {
    Method method;
    long double z;
  };
  const RootCase cases[] = {
      {{MethodKind::kGradientDescent, 1, 0}, 0.25L}, {{MethodKind::kGradientDescent, 1, 0}, 1.75L},
      {{MethodKind::kPolyak, 1, 0.81L}, 0.5L},    // complex
      {{MethodKind::kPolyak, 1, 0.25L}, 0.125L},  // real
      {{MethodKind::kPolyak, 1, 0.25L}, 0.25L},   // double: (1 - sqrt z)^2 = beta
      {{MethodKind::kPolyak, 1, 0.25L}, 2.25L},   // double at the other end: (1 + sqrt beta)^2 = z
      {{MethodKind::kNesterov, 1, 0.75L}, 0.5L},  // complex
      {{MethodKind::kNesterov, 1, 0.25L}, 0.125L},  // real
      {{MethodKind::kNesterov, 1, 0.6L}, 0.0625L},  // double: z = ((1 - beta) / (1 + beta))^2
      {{MethodKind::kNesterov, 1, 0.5L}, 1.25L},    // beyond 1: real, of opposite signs
  };
  for (const RootCase& root : cases) {
    const std::vector<reference::Record> curve =
        reference::QuadraticCurve({root.z}, {1}, root.method, 200);
    for (int t = 0; t <= 200; ++t) {
      // The curve gives |c_t|. A double root in the numbers at hand may be a pair 1e-10 apart
      // (sqrt of the rounding of its discriminant), hence 1e-9; all else is rounding of 200 powers.
      EXPECT_NEAR(
          static_cast<double>(curve[static_cast<size_t>(t)].residual_norm),
          std::abs(static_cast<double>(reference::ClosedFormFactor(root.method, root.z, t))), 1e-9)
          << "z " << static_cast<double>(root.z) << ", iteration " << t;
    }
  }
}

}  // namespace
}  // namespace polyak::conformance
