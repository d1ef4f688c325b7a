#include "server/engine/theory/spectral_radius.h"

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"
#include "server/engine/random/random_stream.h"
#include "server/engine/theory/tuning.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kConditionNumbers[] = {1, 2, 10, 470, 1e4, 1e6, 1e8, 1e10};

LinearMethod GradientDescent(double step_size) { return {step_size, 0, 0, 1}; }
LinearMethod Polyak(double step_size, double momentum) { return {step_size, momentum, 0, 1}; }
LinearMethod Nesterov(double step_size, double momentum) {
  return {step_size, momentum, 1, momentum};
}

// One update of (w, M) on f(w) = lambda w^2 / 2, straight from M = momentum M + grad,
// w -= step_size (gradient_weight grad + memory_weight M): its eigenvalues are the method's roots.
double RadiusOfUpdate(double lambda, const LinearMethod& method) {
  Eigen::Matrix2d update;
  const double memory_step = method.step_size * method.memory_weight;
  update << 1 - (method.step_size * method.gradient_weight + memory_step) * lambda,
      -memory_step * method.momentum, lambda, method.momentum;
  return Eigen::EigenSolver<Eigen::Matrix2d>(update, false).eigenvalues().cwiseAbs().maxCoeff();
}

// Both sides round the discriminant D of a quadratic with coefficients up to 8: an error of about
// 100 eps in D moves sqrt D by 100 eps / sqrt |D|, and never by more than sqrt(100 eps).
double RootTolerance(double z, const LinearMethod& method) {
  const double beta = method.momentum;
  const bool nesterov = method.gradient_weight != 0;
  const double sum = nesterov ? (1 + beta) * (1 - z) : 1 + beta - z;
  const double discriminant = std::abs(sum * sum - 4 * (nesterov ? beta * (1 - z) : beta));
  const double error = 100 * kEpsilon;
  return error + std::min(error / std::sqrt(discriminant), std::sqrt(error));
}

class RandomParameters {
 public:
  explicit RandomParameters(int64_t seed) : stream_(Seed{seed}, DrawPurpose::kTargets) {}
  double Uniform(double low, double high) {
    return low + (high - low) * stream_.Uniform(position_++);
  }
  // Uniform in the exponent, so that the small ones are seen too.
  double LogUniform(double low, double high) {
    return std::exp(Uniform(std::log(low), std::log(high)));
  }

 private:
  RandomStream stream_;
  uint64_t position_ = 0;
};

TEST(SpectralRadius, IsThatOfTheUpdateForRandomParametersOfEveryMethod) {
  RandomParameters draw(1);
  for (int k = 0; k < 20000; ++k) {
    const double z = k % 2 == 0 ? draw.Uniform(0, 5) : draw.LogUniform(1e-10, 5);
    const double momentum = k % 3 == 0 ? 1 - draw.LogUniform(1e-6, 1) : draw.Uniform(0, 1);
    for (const LinearMethod& method :
         {GradientDescent(z), Polyak(z, momentum), Nesterov(z, momentum)}) {
      ASSERT_NEAR(SpectralRadius(1, method), RadiusOfUpdate(1, method), RootTolerance(z, method))
          << "z " << z << " momentum " << momentum << " weight " << method.gradient_weight;
    }
  }
}

TEST(SpectralRadius, DependsOnStepSizeTimesEigenvalueOnly) {
  RandomParameters draw(2);
  for (int k = 0; k < 1000; ++k) {
    const double z = draw.Uniform(0, 4);
    const double momentum = draw.Uniform(0, 1);
    // A power of two: nothing rounds.
    EXPECT_EQ(SpectralRadius(8, Polyak(z / 8, momentum)), SpectralRadius(1, Polyak(z, momentum)));
    EXPECT_EQ(SpectralRadius(8, Nesterov(z / 8, momentum)),
              SpectralRadius(1, Nesterov(z, momentum)));
  }
}

TEST(SpectralRadius, IsOneAtTheStabilityLimitsOfEveryMethod) {
  RandomParameters draw(3);
  for (int k = 0; k < 1000; ++k) {
    const double momentum = draw.Uniform(0.001, 0.999);
    const LinearMethod limits[] = {GradientDescent(2), Polyak(2 * (1 + momentum), momentum),
                                   Nesterov(2 * (1 + momentum) / (1 + 2 * momentum), momentum)};
    for (LinearMethod method : limits) {
      const double limit = method.step_size;
      method.step_size = limit * (1 - 1e-6);
      EXPECT_LT(SpectralRadius(1, method), 1) << momentum;
      method.step_size = limit * (1 + 1e-6);
      EXPECT_GT(SpectralRadius(1, method), 1) << momentum;
    }
  }
}

TEST(SpectralRadius, IsOneWithoutCurvature) {
  EXPECT_EQ(SpectralRadius(0, GradientDescent(1)), 1);
  EXPECT_NEAR(SpectralRadius(0, Polyak(1, 0.9)), 1, 4 * kEpsilon);
  EXPECT_NEAR(SpectralRadius(0, Nesterov(1, 0.9)), 1, 4 * kEpsilon);
}

TEST(SpectralRadius, IsTheRootOfTheMomentumWhereRootsAreComplex) {
  RandomParameters draw(4);
  for (int k = 0; k < 1000; ++k) {
    const double momentum = draw.Uniform(0.01, 0.999);
    // sqrt z strictly between 1 - sqrt beta and 1 + sqrt beta.
    const double root = 1 + draw.Uniform(-0.999, 0.999) * std::sqrt(momentum);
    EXPECT_EQ(SpectralRadius(1, Polyak(root * root, momentum)), std::sqrt(momentum));
  }
}

TEST(SpectralRadius, NeedsTheTwoEndsOfASpectrumOnly) {
  RandomParameters draw(5);
  for (int k = 0; k < 5000; ++k) {
    const double low = draw.LogUniform(1e-8, 4);
    const double high = draw.Uniform(low, 4);
    const double inside = draw.Uniform(low, high);
    const double momentum = draw.Uniform(0, 1);
    for (const LinearMethod& method :
         {GradientDescent(1), Polyak(1, momentum), Nesterov(1, momentum)}) {
      const double ends = SpectralRadius(low, high, method);
      EXPECT_EQ(ends, std::max(SpectralRadius(low, method), SpectralRadius(high, method)));
      EXPECT_LE(SpectralRadius(inside, method), ends + 4 * kEpsilon)
          << low << " " << inside << " " << high << " " << momentum;
    }
  }
}

double TunedRate(const OptimizerSpec& optimizer, double kappa, Tuning tuning) {
  const TuningSpectrum spectrum = {3 / kappa, 3};
  const TunedParameters tuned = TuneParameters(optimizer, spectrum, tuning);
  return SpectralRadius(spectrum.smallest, spectrum.largest,
                        LinearForm(FillParameters(optimizer, tuned)));
}

// A few roundings of numbers up to 4.
constexpr double kRounding = 16 * kEpsilon;

TEST(SpectralRadius, OfTunedGradientDescentIsTheClosedForm) {
  for (const double kappa : kConditionNumbers) {
    EXPECT_NEAR(TunedRate(GradientDescentSpec{}, kappa, Tuning::kTheorem), 1 - 1 / kappa,
                kRounding);
    EXPECT_NEAR(TunedRate(GradientDescentSpec{}, kappa, Tuning::kAsymptotic),
                (kappa - 1) / (kappa + 1), kRounding);
  }
}

TEST(SpectralRadius, OfTunedMomentumIsTheClosedForm) {
  for (const double kappa : kConditionNumbers) {
    const double root = std::sqrt(kappa);
    EXPECT_NEAR(TunedRate(PolyakMomentumSpec{}, kappa, Tuning::kTheorem), 1 - 1 / (2 * root),
                kRounding);  // (T2)
    // (T3) sits on double roots: the parameters' own rounding moves the discriminant by up to
    // 32 eps, and so the root by sqrt(32 eps) / 2.
    EXPECT_NEAR(TunedRate(PolyakMomentumSpec{}, kappa, Tuning::kAsymptotic),
                (root - 1) / (root + 1), std::sqrt(32 * kEpsilon) / 2);
  }
}

TEST(SpectralRadius, OfTunedNesterovIsTheClosedForm) {
  for (const double kappa : kConditionNumbers) {
    const double wide = std::sqrt(3 * kappa + 1);
    // A double root at the smallest eigenvalue, where the discriminant is a product of a factor of
    // rounding, 2 eps, and one of at most 4 (1 - momentum) <= 16 / sqrt kappa.
    const double tolerance = kRounding + std::sqrt(32 * kEpsilon / std::sqrt(kappa)) / 2;
    EXPECT_NEAR(TunedRate(NesterovMomentumSpec{}, kappa, Tuning::kTheorem),
                1 - 1 / std::sqrt(kappa), tolerance)
        << kappa;
    EXPECT_NEAR(TunedRate(NesterovMomentumSpec{}, kappa, Tuning::kAsymptotic), 1 - 2 / wide,
                tolerance)
        << kappa;
  }
}

TEST(SpectralRadius, OfAConditionNumberOfOneIsZeroUnlessTheTheoremSaysOneHalf) {
  EXPECT_EQ(TunedRate(GradientDescentSpec{}, 1, Tuning::kTheorem), 0);
  EXPECT_EQ(TunedRate(GradientDescentSpec{}, 1, Tuning::kAsymptotic), 0);
  EXPECT_EQ(TunedRate(PolyakMomentumSpec{}, 1, Tuning::kTheorem), 0.5);
  EXPECT_NEAR(TunedRate(PolyakMomentumSpec{}, 1, Tuning::kAsymptotic), 0, kRounding);
  EXPECT_EQ(TunedRate(NesterovMomentumSpec{}, 1, Tuning::kTheorem), 0);
  EXPECT_EQ(TunedRate(NesterovMomentumSpec{}, 1, Tuning::kAsymptotic), 0);
}

}  // namespace
}  // namespace polyak::engine
