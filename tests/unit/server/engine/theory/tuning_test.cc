#include "server/engine/theory/tuning.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "server/engine/theory/spectral_radius.h"

namespace polyak::engine {
namespace {

// kappa = 4 and mu = 1/2: every root in the formulas is a whole number, so only the last division
// rounds.
constexpr TuningSpectrum kFour = {0.5, 2};
// kappa = 5: 3 kappa + 1 = 16.
constexpr TuningSpectrum kFive = {1, 5};

TEST(TuneParameters, OfGradientDescentAreTheFormulas) {
  const OptimizerSpec descent = GradientDescentSpec{};
  EXPECT_DOUBLE_EQ(TuneParameters(descent, kFour, Tuning::kTheorem).step_size, 1.0 / 2);
  EXPECT_DOUBLE_EQ(TuneParameters(descent, kFour, Tuning::kAsymptotic).step_size, 2 / 2.5);
  EXPECT_EQ(TuneParameters(descent, kFour, Tuning::kTheorem).momentum, 0);
  EXPECT_EQ(TuneParameters(descent, kFour, Tuning::kAsymptotic).momentum, 0);
}

TEST(TuneParameters, OfPolyakAreTheFormulas) {
  const OptimizerSpec momentum = PolyakMomentumSpec{};
  const TunedParameters theorem = TuneParameters(momentum, kFour, Tuning::kTheorem);
  EXPECT_DOUBLE_EQ(theorem.step_size, 1.0 / 2);
  EXPECT_DOUBLE_EQ(theorem.momentum, 9.0 / 16);  // (1 - 1/4)^2
  const TunedParameters asymptotic = TuneParameters(momentum, kFour, Tuning::kAsymptotic);
  EXPECT_DOUBLE_EQ(asymptotic.step_size, 8.0 / 9);  // 4 / (1/2 + 2 + 2 sqrt(1/2 2))
  EXPECT_DOUBLE_EQ(asymptotic.momentum, 1.0 / 9);
}

TEST(TuneParameters, OfNesterovAreTheFormulas) {
  const OptimizerSpec momentum = NesterovMomentumSpec{};
  const TunedParameters theorem = TuneParameters(momentum, kFour, Tuning::kTheorem);
  EXPECT_DOUBLE_EQ(theorem.step_size, 1.0 / 2);
  EXPECT_DOUBLE_EQ(theorem.momentum, 1.0 / 3);
  const TunedParameters asymptotic = TuneParameters(momentum, kFive, Tuning::kAsymptotic);
  EXPECT_DOUBLE_EQ(asymptotic.step_size, 4.0 / 16);
  EXPECT_DOUBLE_EQ(asymptotic.momentum, 2.0 / 6);
}

double RadiusOf(const OptimizerSpec& optimizer, const TuningSpectrum& spectrum) {
  return SpectralRadius(spectrum.smallest, spectrum.largest, LinearForm(optimizer));
}

// No neighbour at 1 % is faster: ASYMPTOTIC is the best a method can do on [mu, alpha].
TEST(TuneParameters, AsymptoticAreTheFastestThereAre) {
  const TuningSpectrum spectrum = {0.01, 3};
  const TunedParameters descent =
      TuneParameters(GradientDescentSpec{}, spectrum, Tuning::kAsymptotic);
  for (const double factor : {0.99, 1.01}) {
    EXPECT_GT(RadiusOf(GradientDescentSpec{descent.step_size * factor}, spectrum),
              RadiusOf(GradientDescentSpec{descent.step_size}, spectrum));
  }
  for (const double step_factor : {0.99, 1.0, 1.01}) {
    for (const double momentum_factor : {0.99, 1.0, 1.01}) {
      if (step_factor == 1 && momentum_factor == 1) {
        continue;
      }
      const TunedParameters polyak =
          TuneParameters(PolyakMomentumSpec{}, spectrum, Tuning::kAsymptotic);
      EXPECT_GT(RadiusOf(PolyakMomentumSpec{polyak.step_size * step_factor,
                                            polyak.momentum * momentum_factor},
                         spectrum),
                RadiusOf(PolyakMomentumSpec{polyak.step_size, polyak.momentum}, spectrum));
      const TunedParameters nesterov =
          TuneParameters(NesterovMomentumSpec{}, spectrum, Tuning::kAsymptotic);
      EXPECT_GT(RadiusOf(NesterovMomentumSpec{nesterov.step_size * step_factor,
                                              nesterov.momentum * momentum_factor},
                         spectrum),
                RadiusOf(NesterovMomentumSpec{nesterov.step_size, nesterov.momentum}, spectrum));
    }
  }
}

TEST(TuneParameters, IgnoreTheOptimizersOwnValues) {
  const TunedParameters tuned =
      TuneParameters(PolyakMomentumSpec{7.0, 0.1}, kFour, Tuning::kTheorem);
  EXPECT_DOUBLE_EQ(tuned.step_size, 0.5);
  EXPECT_DOUBLE_EQ(tuned.momentum, 9.0 / 16);
}

TEST(TuneParameters, ScaleWithTheUnitOfTheHessian) {
  for (const Tuning tuning : {Tuning::kTheorem, Tuning::kAsymptotic}) {
    for (const OptimizerSpec& optimizer :
         {OptimizerSpec(GradientDescentSpec{}), OptimizerSpec(PolyakMomentumSpec{}),
          OptimizerSpec(NesterovMomentumSpec{})}) {
      const TunedParameters one = TuneParameters(optimizer, {0.5, 2}, tuning);
      const TunedParameters many = TuneParameters(optimizer, {500, 2000}, tuning);
      EXPECT_DOUBLE_EQ(many.step_size, one.step_size / 1000);
      EXPECT_DOUBLE_EQ(many.momentum, one.momentum);
    }
  }
}

TEST(NeedsTuning, IsTrueUntilEveryParameterIsSet) {
  EXPECT_TRUE(NeedsTuning(GradientDescentSpec{}));
  EXPECT_FALSE(NeedsTuning(GradientDescentSpec{0.1}));
  EXPECT_TRUE(NeedsTuning(PolyakMomentumSpec{}));
  EXPECT_TRUE(NeedsTuning(PolyakMomentumSpec{0.1, std::nullopt}));
  EXPECT_TRUE(NeedsTuning(PolyakMomentumSpec{std::nullopt, 0.9}));
  EXPECT_FALSE(NeedsTuning(PolyakMomentumSpec{0.1, 0.9}));
  EXPECT_TRUE(NeedsTuning(NesterovMomentumSpec{0.1, std::nullopt}));
  EXPECT_FALSE(NeedsTuning(NesterovMomentumSpec{0.1, 0.0}));
}

TEST(IsMixed, IsTrueForOneOfTwo) {
  EXPECT_FALSE(IsMixed(GradientDescentSpec{}));
  EXPECT_FALSE(IsMixed(GradientDescentSpec{0.1}));
  EXPECT_FALSE(IsMixed(PolyakMomentumSpec{}));
  EXPECT_TRUE(IsMixed(PolyakMomentumSpec{0.1, std::nullopt}));
  EXPECT_TRUE(IsMixed(NesterovMomentumSpec{std::nullopt, 0.9}));
  EXPECT_FALSE(IsMixed(NesterovMomentumSpec{0.1, 0.9}));
}

TEST(FillParameters, KeepsWhatIsSetAndFillsTheRest) {
  const TunedParameters tuned = {0.25, 0.5};
  const LinearMethod descent = LinearForm(FillParameters(GradientDescentSpec{}, tuned));
  EXPECT_EQ(descent.step_size, 0.25);
  EXPECT_EQ(descent.momentum, 0);
  const LinearMethod step_given =
      LinearForm(FillParameters(PolyakMomentumSpec{0.125, std::nullopt}, tuned));
  EXPECT_EQ(step_given.step_size, 0.125);
  EXPECT_EQ(step_given.momentum, 0.5);
  // A momentum of 0 is set, not missing.
  const LinearMethod momentum_given =
      LinearForm(FillParameters(NesterovMomentumSpec{std::nullopt, 0.0}, tuned));
  EXPECT_EQ(momentum_given.step_size, 0.25);
  EXPECT_EQ(momentum_given.momentum, 0);
  EXPECT_EQ(momentum_given.gradient_weight, 1);
}

}  // namespace
}  // namespace polyak::engine
