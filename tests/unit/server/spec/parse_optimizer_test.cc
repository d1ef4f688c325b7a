#include "server/spec/parse_optimizer.h"

#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

const char kProblem[] =
    "quadratic { spectrum { generated { dimension: 2 condition_number: 2 } } } ";

std::string With(const std::string& optimizer) {
  return absl::StrCat(kProblem, "optimizer { ", optimizer, " }");
}

TEST(ParseOptimizer, RefusesAnUnsetMethod) {
  ExpectRefused({
      {With(""), "spec.optimizer.method", "not set",
       "gradient_descent, polyak_momentum or nesterov_momentum"},
      {With("tuning: TUNING_ASYMPTOTIC"), "spec.optimizer.method", "not set", "gradient_descent"},
  });
}

TEST(ParseOptimizer, RefusesStepSizesThatAreNotFiniteAndPositive) {
  for (const char* method : {"gradient_descent", "polyak_momentum", "nesterov_momentum"}) {
    for (const char* value : {"0", "-0.1", "nan", "inf", "-inf"}) {
      ExpectRefused({{With(absl::StrCat(method, " { step_size: ", value, " }")),
                      absl::StrCat("spec.optimizer.", method, ".step_size"),
                      absl::StrCat("is ", value), "a finite number above 0, or unset"}});
    }
  }
}

TEST(ParseOptimizer, RefusesMomentumOutsideZeroToOne) {
  for (const char* method : {"polyak_momentum", "nesterov_momentum"}) {
    for (const char* value : {"1", "1.5", "-0.001", "nan", "inf", "-inf"}) {
      ExpectRefused({{With(absl::StrCat(method, " { momentum: ", value, " }")),
                      absl::StrCat("spec.optimizer.", method, ".momentum"),
                      absl::StrCat("is ", value), "0 <= momentum < 1, or unset"}});
    }
  }
}

TEST(ParseOptimizer, RefusesAnUnknownTuning) {
  ExpectRefused({{With("gradient_descent {} tuning: 3"), "spec.optimizer.tuning", "is 3",
                  "TUNING_THEOREM, TUNING_ASYMPTOTIC"}});
}

TEST(ParseOptimizer, AcceptsTheEdges) {
  ExpectAccepted({
      With("gradient_descent { step_size: 5e-324 }"),
      With("gradient_descent { step_size: 1.7e308 }"),
      With("polyak_momentum { momentum: 0 }"),
      // The largest number below 1.
      With("nesterov_momentum { momentum: 0.99999999999999988 }"),
      With("polyak_momentum { step_size: 1 momentum: 0.5 } tuning: TUNING_ASYMPTOTIC"),
  });
}

TEST(ParseOptimizer, KeepsWhatIsSetAndLeavesTheRestToTheory) {
  Violations violations;
  v1::Optimizer message;
  message.mutable_polyak_momentum()->set_momentum(0);
  const auto polyak = std::get<engine::PolyakMomentumSpec>(ParseOptimizer(message, violations));
  EXPECT_FALSE(polyak.step_size.has_value());
  EXPECT_EQ(polyak.momentum, 0.0);
  message.mutable_nesterov_momentum()->set_step_size(0.25);
  const auto nesterov = std::get<engine::NesterovMomentumSpec>(ParseOptimizer(message, violations));
  EXPECT_EQ(nesterov.step_size, 0.25);
  EXPECT_FALSE(nesterov.momentum.has_value());
  message.mutable_gradient_descent();
  EXPECT_FALSE(
      std::get<engine::GradientDescentSpec>(ParseOptimizer(message, violations)).step_size);
  EXPECT_TRUE(violations.empty());
}

TEST(ParseTuning, UnsetIsTheTheorems) {
  Violations violations;
  EXPECT_EQ(ParseTuning(v1::TUNING_UNSPECIFIED, violations), engine::Tuning::kTheorem);
  EXPECT_EQ(ParseTuning(v1::TUNING_THEOREM, violations), engine::Tuning::kTheorem);
  EXPECT_EQ(ParseTuning(v1::TUNING_ASYMPTOTIC, violations), engine::Tuning::kAsymptotic);
  EXPECT_TRUE(violations.empty());
}

}  // namespace
}  // namespace polyak::spec
