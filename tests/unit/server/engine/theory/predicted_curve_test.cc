#include "server/engine/theory/predicted_curve.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/random/random_stream.h"
#include "server/engine/theory/tuning.h"
#include "tests/support/problems.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::LogUniform;
using ::polyak::testing_support::NormalVector;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

LinearizedStart OneEigenvalue(double eigenvalue, double weight) {
  return {Vector::Constant(1, eigenvalue), Vector::Constant(1, weight)};
}

LinearizedStart Start(double kappa, int64_t seed) {
  return {LogUniform(6, kappa), NormalVector(seed, 6).cwiseAbs()};
}

LinearMethod Tuned(const OptimizerSpec& optimizer, double kappa, Tuning tuning) {
  return LinearForm(FillParameters(optimizer, TuneParameters(optimizer, {1 / kappa, 1}, tuning)));
}

std::vector<double> Curve(PredictedCurve& curve, int count) {
  std::vector<double> values;
  for (int t = 0; t < count; ++t) {
    values.push_back(curve.Next());
  }
  return values;
}

// So that a watch that was cut goes on with the numbers of one that was not.
TEST(PredictedCurve, HasTheSameBitsWhereverAReaderBegins) {
  Vector eigenvalues(3);
  eigenvalues << 0.01, 0.37, 1;
  const Vector weights = Vector::Ones(3);
  for (const LinearMethod& method :
       {LinearMethod{1.1, 0.83, 0, 1}, LinearMethod{0.9, 0.77, 1, 0.77},
        LinearMethod{1.3, 0, 0, 1}}) {
    PredictedCurve whole({eigenvalues, weights}, method);
    const std::vector<double> values = Curve(whole, 600);
    for (const int64_t begin : {0, 1, 2, 5, 255, 256, 257, 400, 512, 599}) {
      PredictedCurve part({eigenvalues, weights}, method);
      part.Seek(begin);
      const std::vector<double> found = Curve(part, static_cast<int>(600 - begin));
      EXPECT_EQ(found, std::vector<double>(values.begin() + begin, values.end())) << begin;
    }
  }
}

TEST(PredictedCurve, StartsAtTheNormOfTheStart) {
  Vector weights(2);
  weights << 3, 4;
  PredictedCurve curve({Vector::Ones(2), weights}, {0.1, 0.9, 0, 1});
  EXPECT_DOUBLE_EQ(curve.Next(), 5);
}

TEST(PredictedCurve, OfGradientDescentIsAPower) {
  PredictedCurve curve(OneEigenvalue(2, 3), {0.2, 0, 0, 1});  // 1 - z = 0.6
  for (int t = 0; t < 20; ++t) {
    EXPECT_NEAR(curve.Next(), 3 * std::pow(0.6, t), 3 * 40 * kEpsilon);
  }
}

TEST(PredictedCurve, TakesItsFirstStepWithoutMemory) {
  // Polyak: c_1 = 1 - z, c_2 = (1 + beta - z) c_1 - beta.
  PredictedCurve polyak(OneEigenvalue(1, 1), {0.25, 0.5, 0, 1});
  const std::vector<double> heavy_ball = Curve(polyak, 3);
  EXPECT_DOUBLE_EQ(heavy_ball[1], 0.75);
  EXPECT_DOUBLE_EQ(heavy_ball[2], 1.25 * 0.75 - 0.5);
  // Nesterov: c_1 = 1 - (1 + beta) z, c_2 = (1 + beta)(1 - z) c_1 - beta (1 - z).
  PredictedCurve nesterov(OneEigenvalue(1, 1), {0.25, 0.5, 1, 0.5});
  const std::vector<double> look_ahead = Curve(nesterov, 3);
  EXPECT_DOUBLE_EQ(look_ahead[1], 0.625);
  EXPECT_DOUBLE_EQ(look_ahead[2], 1.5 * 0.75 * 0.625 - 0.5 * 0.75);
}

// With beta = r^2 and z = (1 - r)^2 the root r is double and c_t = (1 + t (1 - r)) r^t exactly:
// c_1 = 1 - z = r (2 - r).
TEST(PredictedCurve, GrowsWithTAtADoubleRoot) {
  const double r = 0.75;
  PredictedCurve curve(OneEigenvalue(1, 1), {(1 - r) * (1 - r), r * r, 0, 1});
  for (int t = 0; t < 60; ++t) {
    // All numbers of the recursion are at most 2, and its rounding grows like c_t itself.
    EXPECT_NEAR(curve.Next(), (1 + t * (1 - r)) * std::pow(r, t), 60 * kEpsilon);
  }
}

TEST(PredictedCurve, IsTheNormOverTheEigenvalues) {
  const LinearizedStart start = Start(50, 4);
  const LinearMethod method = {0.7, 0.6, 0, 1};
  PredictedCurve all(start, method);
  std::vector<PredictedCurve> parts;
  for (Eigen::Index i = 0; i < start.eigenvalues.size(); ++i) {
    parts.emplace_back(OneEigenvalue(start.eigenvalues(i), start.weights(i)), method);
  }
  for (int t = 0; t < 100; ++t) {
    double squares = 0;
    for (PredictedCurve& part : parts) {
      const double value = part.Next();
      squares += value * value;
    }
    EXPECT_NEAR(all.Next(), std::sqrt(squares), 16 * kEpsilon * std::sqrt(squares)) << t;
  }
}

struct Case {
  OptimizerSpec optimizer;
  Tuning tuning;
};

const std::vector<Case>& Cases() {
  static const auto& cases = *new std::vector<Case>{
      {GradientDescentSpec{}, Tuning::kTheorem},  {GradientDescentSpec{}, Tuning::kAsymptotic},
      {PolyakMomentumSpec{}, Tuning::kTheorem},   {PolyakMomentumSpec{}, Tuning::kAsymptotic},
      {NesterovMomentumSpec{}, Tuning::kTheorem}, {NesterovMomentumSpec{}, Tuning::kAsymptotic}};
  return cases;
}

// Stepping and squaring round differently: each within what the run itself is promised to differ,
// 10 kappa eps under THEOREM and 0.2 kappa^1.5 eps at double roots, of |xi_0|.
TEST(PredictedCurve, ReachesARandomIterationBySeekingAsByStepping) {
  const RandomStream stream(Seed{5}, DrawPurpose::kTargets);
  uint64_t position = 0;
  for (const double kappa : {2.0, 100.0, 1e4}) {
    for (const Case& method : Cases()) {
      const LinearizedStart start = Start(kappa, 6);
      const LinearMethod form = Tuned(method.optimizer, kappa, method.tuning);
      const double tolerance =
          std::max(10 * kappa, 0.2 * std::pow(kappa, 1.5)) * kEpsilon * start.weights.norm();
      PredictedCurve stepped(start, form);
      const int count = 3000;
      const std::vector<double> values = Curve(stepped, count);
      PredictedCurve sought(start, form);
      for (int k = 0; k < 50; ++k) {
        const auto t = static_cast<int64_t>(stream.Uniform(position++) * (count - 1));
        sought.Seek(t);
        EXPECT_NEAR(sought.Next(), values[static_cast<size_t>(t)], tolerance) << kappa << " " << t;
        EXPECT_NEAR(sought.Next(), values[static_cast<size_t>(t + 1)], tolerance)
            << kappa << " " << t;
      }
    }
  }
}

TEST(PredictedCurve, GoesBackAsItGoesForth) {
  PredictedCurve curve(Start(100, 7), Tuned(PolyakMomentumSpec{}, 100, Tuning::kTheorem));
  const std::vector<double> first = Curve(curve, 5);
  curve.Seek(1000000);
  EXPECT_LT(curve.Next(), 1e-300);  // 0.95^1e6 underflows to nothing, not to noise
  curve.Seek(0);
  EXPECT_EQ(Curve(curve, 5), first);
  curve.Seek(1);
  EXPECT_EQ(curve.Next(), first[1]);
}

TEST(PredictedCurve, GrowsWhereTheMethodIsUnstable) {
  PredictedCurve curve(OneEigenvalue(1, 1), {3, 0, 0, 1});  // 1 - z = -2
  curve.Seek(40);
  EXPECT_DOUBLE_EQ(curve.Next(), std::ldexp(1, 40));
}

}  // namespace
}  // namespace polyak::engine
