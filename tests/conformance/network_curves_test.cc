// Full trajectories of the networks against plain loops over long double, which know the data and
// the start as numbers only: with weights given in the spec, and with seeded ones.
//
// Tolerance. f(X; W) = J W (the ReLU network is homogeneous of degree 1 in its weights; the deep
// linear one of degree L, so L f = J W), hence the products that one evaluation sums are of the
// size |J| |W|, and `terms` of them a sum: rounding, of independent signs, moves the residual by
// sqrt(terms) eps / 2 (|J| |W| + |y|), twice in an iteration (forward; backward and update). As for
// a quadratic, an impulse is answered by at most 1 (GD) or k + 1 (momentum) after k iterations,
// together by at most kappa / (eta lmax). |J| is at most |X| for the ReLU network and sqrt(L / d_y)
// |X| for the deep linear one at an orthogonal start; the factor 4 is for Gaussian starts, and for
// the weights' own growth on the way.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/conformance/quadratic_cases.h"
#include "tests/reference/deep_linear_network.h"
#include "tests/reference/relu_network.h"
#include "tests/support/run.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::RunToEnd;

constexpr int64_t kIterations = 300;
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

reference::Table ToTable(const Matrix& matrix) {
  reference::Table table;
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) {
    reference::Row row;
    for (Eigen::Index j = 0; j < matrix.cols(); ++j) {
      row.push_back(matrix(i, j));
    }
    table.push_back(row);
  }
  return table;
}

reference::Row ToRow(const Vector& vector) { return {vector.begin(), vector.end()}; }

// Numbers without a pattern, of mean square 1: the low digits of a sine.
Matrix Scattered(Eigen::Index rows, Eigen::Index cols, double phase) {
  Matrix matrix(rows, cols);
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index j = 0; j < cols; ++j) {
      const double digits =
          4e4 * std::sin(phase + 12.9 * static_cast<double>(i) + 78.2 * static_cast<double>(j));
      matrix(i, j) = std::sqrt(3.0) * (2 * (digits - std::floor(digits)) - 1);
    }
  }
  return matrix;
}

std::shared_ptr<const Dataset> ScatteredData(Eigen::Index examples, Eigen::Index inputs,
                                             Eigen::Index outputs) {
  auto data = std::make_shared<Dataset>();
  data->features = Scattered(examples, inputs, 0.1);
  data->targets = Scattered(examples, outputs, 2.2);
  return data;
}

struct Sizes {
  double terms = 0;     // of the longest sum
  double jacobian = 0;  // |J|
  double weights = 0;   // |W|
  double targets = 0;   // |y|
};

void ExpectTheCurve(const FinishedRun& run, const std::vector<reference::Record>& exact,
                    const Sizes& sizes) {
  ASSERT_EQ(run.rows.loss.size(), exact.size());
  const double kick =
      4 * std::sqrt(sizes.terms) * kEpsilon * (sizes.jacobian * sizes.weights + sizes.targets);
  const double most = run.theory.prediction.theorem_condition_number /
                      (run.theory.method.step_size * run.theory.prediction.largest_eigenvalue);
  for (size_t t = 0; t < exact.size(); ++t) {
    const auto steps = static_cast<double>(t + 1);
    const double answers = run.theory.method.momentum == 0 ? steps : steps * (steps + 1) / 2;
    const double tolerance = kick * std::min(answers, most);
    const auto residual = static_cast<double>(exact[t].residual_norm);
    ASSERT_NEAR(run.rows.residual_norm[t], residual, tolerance) << "iteration " << t;
    // |a^2 - b^2| / 2
    ASSERT_NEAR(run.rows.loss[t], static_cast<double>(exact[t].loss),
                (residual + tolerance) * tolerance)
        << "iteration " << t;
  }
}

// Every method, with parameters by theory and given ones (for a largest eigenvalue `largest`).
std::vector<OptimizerSpec> Methods(double largest) {
  return {GradientDescentSpec{},  GradientDescentSpec{0.7 / largest},
          PolyakMomentumSpec{},   PolyakMomentumSpec{0.6 / largest, 0.8},
          NesterovMomentumSpec{}, NesterovMomentumSpec{0.5 / largest, 0.85}};
}

double LargestEigenvalue(const ProblemSpec& spec, Seed seed) {
  const auto instance = Instantiate(spec, seed);
  return Resolve(*instance, GradientDescentSpec{1.0}, Tuning::kTheorem)
      ->prediction.largest_eigenvalue;
}

StoppingRule Stopping() {
  StoppingRule stopping;
  stopping.max_iterations = kIterations;
  return stopping;
}

void ExpectReluCurves(const ReluNetworkSpec& spec, Seed seed,
                      const reference::ReluNetwork& network) {
  Sizes sizes;
  const auto instance = MakeReluNetworkInstance(spec, seed);
  Matrix weights(spec.width, (*instance)->input_dimension());
  FillInitialHiddenWeights(**instance, 0, weights);
  sizes.terms = static_cast<double>(weights.rows() + weights.cols());
  sizes.jacobian = (*instance)->features.norm();
  sizes.weights = weights.norm();
  sizes.targets = (*instance)->targets.norm();
  for (const OptimizerSpec& optimizer : Methods(LargestEigenvalue(spec, seed))) {
    SCOPED_TRACE(optimizer.index());
    const FinishedRun run = RunToEnd(spec, optimizer, Stopping(), Tuning::kTheorem, seed);
    ExpectTheCurve(
        run, reference::TrainReluNetwork(network, ToReference(run.theory.optimizer), kIterations),
        sizes);
  }
}

TEST(ReluNetworkCurves, EqualPlainLoopsFromGivenWeights) {
  const auto data = ScatteredData(6, 8, 1);
  const Matrix hidden = Scattered(64, 8, 0.7);
  Vector output(64);
  for (Eigen::Index r = 0; r < output.size(); ++r) {
    output(r) = (r * r + r / 3) % 2 == 0 ? 1 : -1;
  }
  ReluNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = 64;
  spec.initial_hidden_weights = std::make_shared<Matrix>(hidden);
  spec.output_weights = std::make_shared<Vector>(output);
  ExpectReluCurves(
      spec, Seed{0},
      {ToTable(data->features), ToRow(data->targets.col(0)), ToTable(hidden), ToRow(output)});
}

TEST(ReluNetworkCurves, EqualPlainLoopsFromSeededWeights) {
  ReluNetworkSpec spec;
  SyntheticDataSpec data;
  data.kind = SyntheticKind::kUnitSphere;
  data.examples = 10;
  data.input_dimension = 12;
  spec.dataset.source = data;
  spec.width = 256;
  for (const int64_t seed : {1, 2}) {
    const auto instance = MakeReluNetworkInstance(spec, Seed{seed});
    Matrix hidden(spec.width, 12);
    FillInitialHiddenWeights(**instance, 0, hidden);
    ExpectReluCurves(spec, Seed{seed},
                     {ToTable((*instance)->features), ToRow((*instance)->targets), ToTable(hidden),
                      ToRow(OutputWeights(**instance))});
  }
}

void ExpectDeepLinearCurves(const DeepLinearNetworkSpec& spec, Seed seed,
                            const reference::DeepLinearNetwork& network) {
  const auto instance = MakeDeepLinearNetworkInstance(spec, seed);
  Sizes sizes;
  for (const Matrix& layer : InitialDeepLinearWeights(**instance)) {
    sizes.weights = std::hypot(sizes.weights, layer.norm());
  }
  sizes.terms = static_cast<double>(spec.width + (*instance)->input_dimension());
  sizes.jacobian = std::sqrt(static_cast<double>(spec.depth) /
                             static_cast<double>((*instance)->output_dimension())) *
                   (*instance)->features.norm();
  sizes.targets = (*instance)->targets.norm();
  for (const OptimizerSpec& optimizer : Methods(LargestEigenvalue(spec, seed))) {
    SCOPED_TRACE(optimizer.index());
    const FinishedRun run = RunToEnd(spec, optimizer, Stopping(), Tuning::kTheorem, seed);
    const reference::DeepLinearCurve curve =
        reference::TrainDeepLinearNetwork(network, ToReference(run.theory.optimizer), kIterations);
    ExpectTheCurve(run, curve.records, sizes);
    EXPECT_NEAR(run.theory.prediction.loss_floor, static_cast<double>(curve.loss_floor),
                1e-14 * sizes.targets * sizes.targets);  // sums of at most 20 products
  }
}

TEST(DeepLinearNetworkCurves, EqualPlainLoopsFromGivenWeights) {
  // More examples than inputs: a part of the targets is out of reach.
  const auto data = ScatteredData(9, 3, 2);
  const std::vector<Matrix> weights = {Scattered(7, 3, 0.4), Scattered(7, 7, 1.4),
                                       Scattered(2, 7, 2.4)};
  DeepLinearNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = 7;
  spec.depth = 3;
  spec.initial_weights = std::make_shared<std::vector<Matrix>>(weights);
  ExpectDeepLinearCurves(spec, Seed{0},
                         {ToTable(data->features),
                          ToTable(data->targets),
                          {ToTable(weights[0]), ToTable(weights[1]), ToTable(weights[2])}});
}

TEST(DeepLinearNetworkCurves, EqualPlainLoopsFromSeededWeights) {
  struct Start {
    int64_t width;
    int depth;
    int64_t examples;
    DeepLinearInitialization initialization;
  };
  for (const Start& start : {Start{24, 2, 12, DeepLinearInitialization::kOrthogonal},
                             Start{4, 3, 12, DeepLinearInitialization::kOrthogonal},
                             Start{12, 5, 3, DeepLinearInitialization::kOrthogonal},
                             Start{64, 3, 12, DeepLinearInitialization::kGaussian}}) {
    SCOPED_TRACE(start.depth);
    SyntheticDataSpec data;
    data.examples = start.examples;
    data.input_dimension = 4;
    data.output_dimension = 2;
    data.condition_number = 3;
    DeepLinearNetworkSpec spec;
    spec.dataset.source = data;
    spec.width = start.width;
    spec.depth = start.depth;
    spec.initialization = start.initialization;
    const Seed seed{4};
    const auto instance = MakeDeepLinearNetworkInstance(spec, seed);
    reference::DeepLinearNetwork network = {
        ToTable((*instance)->features), ToTable((*instance)->targets), {}};
    for (const Matrix& layer : InitialDeepLinearWeights(**instance)) {
      network.weights.push_back(ToTable(layer));
    }
    ExpectDeepLinearCurves(spec, seed, network);
  }
}

}  // namespace
}  // namespace polyak::conformance
