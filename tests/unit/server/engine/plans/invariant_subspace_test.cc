#include "server/engine/plans/invariant_subspace.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/plans/dense.h"
#include "server/engine/problems/deep_linear_start.h"
#include "tests/support/problems.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/plans/experiments.h"

namespace polyak::engine {
namespace {

using ::polyak::testing_support::DataOf;
using ::polyak::testing_support::NormalEntries;
using ::testing::HasSubstr;

DeepLinearNetworkSpec Spec(DatasetSpec data, int64_t width, int depth) {
  DeepLinearNetworkSpec spec;
  spec.dataset = std::move(data);
  spec.width = width;
  spec.depth = depth;
  return spec;
}

std::shared_ptr<const std::vector<Matrix>> Given(std::vector<Matrix> weights) {
  return std::make_shared<const std::vector<Matrix>>(std::move(weights));
}

// 5 examples, d_x = 4, and as many outputs as asked for; kappa about 50.
DatasetSpec Data(Eigen::Index outputs) {
  return DataOf(NormalEntries(1, 5, 4), NormalEntries(2, 5, outputs));
}

std::unique_ptr<Stepper> Reduced(const Experiment& experiment) {
  EXPECT_TRUE(InvariantSubspaceEligible(experiment).eligible);
  return MakeInvariantSubspaceStepper(experiment).value();
}

std::vector<double> IterateOf(const Stepper& stepper) {
  base::StringSink sink;
  stepper.WriteIterate(sink);
  base::StringSource source(sink.bytes());
  std::vector<double> values;
  while (!source.at_end()) {
    values.push_back(source.ReadDouble());
  }
  return values;
}

// The loss of 100 iterations and the iterate at the end, under every method.
void ExpectTheRunOfDense(const DeepLinearNetworkSpec& spec, const std::string& name) {
  for (const OptimizerSpec& optimizer : EveryOptimizer()) {
    const Experiment experiment = {InstanceOf(spec), optimizer};
    const auto dense = MakeDenseStepper(experiment).value();
    const auto reduced = Reduced(experiment);
    double initial_loss = 0;
    for (int t = 0; t < 100; ++t) {
      const double expected = dense->Observe().loss;
      initial_loss = t == 0 ? expected : initial_loss;
      // Stable runs: a few roundings of each of up to 6 layers.
      ASSERT_NEAR(reduced->Observe().loss, expected, 1e-13 * initial_loss) << name << " " << t;
      dense->Step();
      reduced->Step();
    }
    const std::vector<double> expected = IterateOf(*dense);
    const std::vector<double> iterate = IterateOf(*reduced);
    ASSERT_EQ(iterate.size(), expected.size()) << name;
    for (size_t i = 0; i < iterate.size(); ++i) {
      ASSERT_NEAR(iterate[i], expected[i], 1e-12) << name << " " << i;
    }
  }
}

TEST(InvariantSubspace, TakesTheStepThatIsTakenByHand) {
  // One example x = 1 with target 0; W_1 = (sqrt 2, 0)', W_2 = (1, 1): N(x) = W_2 W_1 / sqrt 2 = 1.
  const double root = std::sqrt(2.0);
  DeepLinearNetworkSpec spec = Spec(DataOf(Matrix{{1}}, Matrix{{0}}), 2, 2);
  spec.initial_weights = Given({Matrix{{root}, {0}}, Matrix{{1, 1}}});
  const auto stepper = Reduced({InstanceOf(spec), GradientDescentSpec{0.1}});
  EXPECT_NEAR(stepper->Observe().loss, 0.5, 1e-15);
  stepper->Step();
  // W_1 -= 0.1 (1, 1)' / sqrt 2, W_2 -= 0.1 (sqrt 2, 0) / sqrt 2: N(x) = 0.9 0.95 - 0.05.
  const Observation after = stepper->Observe();
  EXPECT_NEAR(after.residual_norm, 0.805, 1e-15);
  EXPECT_NEAR(after.loss, 0.805 * 0.805 / 2, 1e-15);
  const std::vector<double> iterate = IterateOf(*stepper);
  ASSERT_EQ(iterate.size(), 4u);
  EXPECT_NEAR(iterate[0], root - 0.1 / root, 1e-15);
  EXPECT_NEAR(iterate[1], -0.1 / root, 1e-15);
  EXPECT_NEAR(iterate[2], 0.9, 1e-15);
  EXPECT_NEAR(iterate[3], 1, 1e-15);
}

TEST(InvariantSubspace, IsAProductOfNumbersAtWidthOne) {
  // Signs multiply; each factor moves by the residual times the product of the others.
  DeepLinearNetworkSpec spec = Spec(DataOf(Matrix{{1}}, Matrix{{0.25}}), 1, 4);
  const auto stepper = Reduced({InstanceOf(spec), GradientDescentSpec{0.05}});
  const double first = stepper->Observe().residual_norm;
  const double sign = first < 1 ? 1 : -1;  // of the product: |+-1 - 0.25|
  double factor = 1;                       // of all four, but for the signs
  for (int t = 0; t < 50; ++t) {
    const double residual = sign * std::pow(factor, 4) - 0.25;
    EXPECT_NEAR(stepper->Observe().residual_norm, std::abs(residual), 1e-14) << t;
    factor -= 0.05 * residual * sign * std::pow(factor, 3);
    stepper->Step();
  }
}

TEST(InvariantSubspace, FollowsDenseInEveryShape) {
  for (const int64_t outputs : {1, 3, 7}) {  // below, and above the rank of 4
    for (const int64_t width : {7, 8, 20}) {
      for (const int depth : {2, 3, 6}) {
        ExpectTheRunOfDense(Spec(Data(outputs), width, depth),
                            absl::StrCat("d_y ", outputs, ", m ", width, ", L ", depth));
      }
    }
  }
}

TEST(InvariantSubspace, FollowsDenseWhereThereIsNoRoomForTwoSpans) {
  ExpectTheRunOfDense(Spec(Data(1), 4, 3), "m = d_x = r: the forward span is everything");
  ExpectTheRunOfDense(Spec(Data(3), 4, 3), "m = r, several outputs");
  ExpectTheRunOfDense(Spec(Data(3), 5, 3), "m < r + d_y");
  ExpectTheRunOfDense(Spec(Data(6), 6, 4), "m = d_y < r + d_y");
}

TEST(InvariantSubspace, FollowsDenseOnOneExample) {
  ExpectTheRunOfDense(Spec(DataOf(NormalEntries(1, 1, 4), NormalEntries(2, 1, 3)), 9, 3), "n = 1");
}

TEST(InvariantSubspace, FollowsDenseOnDataOfLowRank) {
  const Matrix features = NormalEntries(1, 6, 2) * NormalEntries(3, 2, 5);
  const DatasetSpec data = DataOf(features, NormalEntries(2, 6, 3));
  ASSERT_EQ((*MakeDeepLinearNetworkInstance(Spec(data, 12, 3), Seed{1}))->singular_values.size(),
            2);
  ExpectTheRunOfDense(Spec(data, 12, 3), "rank 2 of 5");
}

TEST(InvariantSubspace, FollowsDenseFromGivenOrthogonalWeights) {
  for (const int64_t outputs : {1, 3, 7}) {
    for (const int64_t width : {7, 12}) {
      DeepLinearNetworkSpec spec = Spec(Data(outputs), width, 4);
      spec.initial_weights =
          Given(InitialDeepLinearWeights(**MakeDeepLinearNetworkInstance(spec, Seed{11})));
      ExpectTheRunOfDense(spec, absl::StrCat("given, d_y ", outputs, ", m ", width));
    }
  }
}

TEST(InvariantSubspace, FollowsDenseWhereTheSpansMeet) {
  // The last layer looks along the first output of the first layer, and beside it.
  const double root = std::sqrt(6.0);
  const Matrix first = root * Matrix::Identity(6, 4);
  Matrix last = Matrix::Zero(2, 6);
  last(0, 0) = root;
  last(1, 5) = -root;
  DeepLinearNetworkSpec spec = Spec(Data(2), 6, 3);
  spec.initial_weights = Given({first, root * Matrix::Identity(6, 6), last});
  ExpectTheRunOfDense(spec, "one direction shared");
  last(1, 5) = 0;
  last(1, 1) = root;
  spec.initial_weights = Given({first, root * Matrix::Identity(6, 6), last});
  ExpectTheRunOfDense(spec, "the backward span within the forward one");
}

TEST(InvariantSubspace, StartsWhereTheLiteralWeightsAre) {
  const Experiment experiment = {InstanceOf(Spec(Data(3), 9, 4)), EveryOptimizer()[1]};
  const auto stepper = Reduced(experiment);
  const std::vector<double> written = IterateOf(*stepper);
  size_t i = 0;
  for (const Matrix& layer : InitialDeepLinearWeights(*std::get<2>(experiment.problem))) {
    for (const double weight : layer.reshaped()) {
      ASSERT_EQ(written.at(i++), weight);  // nothing has changed
    }
  }
  EXPECT_EQ(i, written.size());
}

TEST(DeepLinearSpans, AreOrthonormalAndGiveTheLastLayer) {
  DeepLinearNetworkSpec spec = Spec(Data(3), 9, 3);
  for (const bool given : {false, true}) {
    if (given) {
      spec.initial_weights =
          Given(InitialDeepLinearWeights(**MakeDeepLinearNetworkInstance(spec, Seed{4})));
    }
    const LiteralStart start = MakeLiteralStart(**MakeDeepLinearNetworkInstance(spec, Seed{4}));
    Matrix basis(9, 7);
    basis << start.forward, start.complement;
    EXPECT_LT((basis.transpose() * basis - Matrix::Identity(7, 7)).cwiseAbs().maxCoeff(), 1e-14);
    const Matrix last =
        start.forward * start.relative.position + start.complement * start.relative.complement;
    EXPECT_LT((start.weights.back().transpose() / 3 - last).cwiseAbs().maxCoeff(), 1e-14);
  }
}

// |xi_t| / |xi_0| of 60 iterations of gradient descent.
std::vector<double> CurveAtWidth(int64_t width, int depth) {
  SyntheticDataSpec data;
  data.examples = 50;
  data.input_dimension = 20;
  data.output_dimension = 10;
  data.condition_number = 3;
  DatasetSpec dataset;
  dataset.source = data;
  const DeepLinearNetworkSpec spec = Spec(dataset, width, depth);
  const ProblemInstance instance = InstanceOf(spec);
  const double largest = depth * std::pow(std::get<2>(instance)->singular_values(0), 2) / 10;
  const auto stepper = Reduced({instance, GradientDescentSpec{1 / largest}});
  std::vector<double> curve;
  double initial = 0;
  for (int t = 0; t < 60; ++t) {
    const double residual = stepper->Observe().residual_norm;
    initial = t == 0 ? residual : initial;
    curve.push_back(residual / initial);
    stepper->Step();
  }
  return curve;
}

// The curve of infinite width, |(I - H / alpha)^t xi_0| with H the same for every width: how far
// the run is from it.
double DistanceFromTheory(int64_t width, int depth) {
  SyntheticDataSpec data;
  data.examples = 50;
  data.input_dimension = 20;
  data.output_dimension = 10;
  data.condition_number = 3;
  DatasetSpec dataset;
  dataset.source = data;
  const auto instance = *MakeDeepLinearNetworkInstance(Spec(dataset, width, depth), Seed{3});
  const Matrix residual = InitialDeepLinearResidual(*instance);
  const Vector ratios = (instance->singular_values / instance->singular_values(0)).array().square();
  const std::vector<double> curve = CurveAtWidth(width, depth);
  double distance = 0;
  for (size_t t = 0; t < curve.size(); ++t) {
    const Vector factors = (1 - ratios.array()).pow(static_cast<double>(t));
    const double theory = (residual * factors.asDiagonal()).norm() / residual.norm();
    distance = std::max(distance, std::abs(curve[t] - theory));
  }
  return distance;
}

TEST(InvariantSubspace, ComesToTheCurveOfTheoryAsOneOverTheWidth) {
  const double at_thousand = DistanceFromTheory(1000, 10);
  EXPECT_GT(at_thousand, 1e-4);
  EXPECT_LT(at_thousand, 0.1);
  double before = at_thousand;
  for (const int64_t width : {10'000, 100'000, 1'000'000, 1'000'000'000}) {
    const double distance = DistanceFromTheory(width, 10);
    EXPECT_LT(distance, before / 2) << width;
    before = distance;
  }
  EXPECT_LT(before, 1e-3 * at_thousand);
}

TEST(InvariantSubspace, RunsAThousandLayersOfABillionNeurons) {
  const std::vector<double> curve = CurveAtWidth(1'000'000'000, 1000);
  EXPECT_LT(curve.back(), 0.5);
  EXPECT_LT(DistanceFromTheory(1'000'000'000, 1000), 1e-2);
}

TEST(InvariantSubspacePlan, FitsOrthogonalStartsAlone) {
  const OptimizerSpec optimizer = EveryOptimizer()[1];
  for (const ProblemSpec& spec : EverySpec()) {
    const bool deep = std::holds_alternative<DeepLinearNetworkSpec>(spec);
    EXPECT_EQ(InvariantSubspaceCost(spec, optimizer).has_value(), deep);
    const Eligibility eligibility = InvariantSubspaceEligible({InstanceOf(spec), optimizer});
    EXPECT_EQ(eligibility.eligible, deep);
    EXPECT_THAT(eligibility.reason,
                HasSubstr(deep ? "the 5 directions of each layer" : "no deep linear network"));
  }
  DeepLinearNetworkSpec gaussian = Spec(Data(2), 9, 3);
  gaussian.initialization = DeepLinearInitialization::kGaussian;
  EXPECT_FALSE(InvariantSubspaceCost(gaussian, optimizer).has_value());
  const Eligibility eligibility = InvariantSubspaceEligible({InstanceOf(gaussian), optimizer});
  EXPECT_FALSE(eligibility.eligible);
  EXPECT_THAT(eligibility.reason, HasSubstr("do not start orthogonal"));
}

TEST(InvariantSubspacePlan, TakesGivenWeightsThatAreOrthogonalToRounding) {
  DeepLinearNetworkSpec spec = Spec(Data(2), 9, 3);
  auto weights = InitialDeepLinearWeights(**MakeDeepLinearNetworkInstance(spec, Seed{4}));
  const auto eligibility = [&] {
    spec.initial_weights = Given(weights);
    return InvariantSubspaceEligible({InstanceOf(spec), EveryOptimizer()[0]});
  };
  EXPECT_TRUE(eligibility().eligible);
  weights[1](2, 3) += 1e-11;  // still an orthogonal start, to 1e-10
  EXPECT_FALSE(eligibility().eligible);
  EXPECT_THAT(eligibility().reason, HasSubstr("not to rounding"));
  weights[1](2, 3) = std::nan("");
  EXPECT_FALSE(eligibility().eligible);
}

TEST(InvariantSubspacePlan, CostsTheSameAtAnyWidthThatHasRoom) {
  const OptimizerSpec optimizer = EveryOptimizer()[1];
  const PlanCost small = *InvariantSubspaceCost(Spec(Data(3), 7, 10), optimizer);
  const PlanCost large = *InvariantSubspaceCost(Spec(Data(3), 1'000'000'000, 10), optimizer);
  EXPECT_EQ(small.operations_per_iteration, large.operations_per_iteration);
  EXPECT_EQ(small.setup_operations, large.setup_operations);
  EXPECT_EQ(small.bytes, large.bytes);
  EXPECT_EQ(small.saved_values, large.saved_values);
  EXPECT_EQ(small.saved_values, 2 * 7 * (4 + 3 + 8 * 7));  // k = r + d_y = 7
  EXPECT_LT(large.bytes, 1e5);
}

TEST(InvariantSubspacePlan, LeavesRoomForDenseWhereTheWeightsAreGiven) {
  DeepLinearNetworkSpec spec = Spec(Data(3), 9, 3);
  spec.initial_weights =
      Given(InitialDeepLinearWeights(**MakeDeepLinearNetworkInstance(spec, Seed{4})));
  const PlanCost reduced = *InvariantSubspaceCost(spec, EveryOptimizer()[1]);
  const PlanCost dense = *DenseCost(spec, EveryOptimizer()[1]);
  EXPECT_GE(reduced.bytes, dense.bytes);
  EXPECT_GE(reduced.saved_values, dense.saved_values);
}

TEST(InvariantSubspacePlan, SavesAsManyValuesAsItForecasts) {
  const DeepLinearNetworkSpec spec = Spec(Data(3), 1'000'000'000, 10);
  const auto stepper = Reduced({InstanceOf(spec), EveryOptimizer()[1]});
  stepper->Observe();
  const double values =
      static_cast<double>(testing_support::StateOf(*stepper).size()) / sizeof(double);
  const double forecast = InvariantSubspaceCost(spec, EveryOptimizer()[1])->saved_values;
  EXPECT_NEAR(values, forecast, 12);  // and the head, two lengths, the observation
}

}  // namespace
}  // namespace polyak::engine
