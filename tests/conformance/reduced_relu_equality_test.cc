// Wide ReLU networks by the reduced plan against DENSE, over random networks: few and many neurons,
// examples and inputs, doubled and zero examples, pre-activations of exactly 0, large targets, so
// that many or nearly all activations flip, any method with momentum up to 0.999.
//
//   POLYAK_EQUALITY_SPECS=N   so many networks a method (default 100)

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <utility>

#include "gtest/gtest.h"
#include "server/base/bytes.h"
#include "server/engine/plans/dense.h"
#include "server/engine/plans/event_driven.h"
#include "server/engine/plans/reduced_relu.h"
#include "server/engine/theory/theory.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr int64_t kIterations = 300;

int NetworksPerMethod() {
  const char* const asked = std::getenv("POLYAK_EQUALITY_SPECS");
  return asked == nullptr ? 100 : std::atoi(asked);
}

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}
  int Int(int first, int last) { return std::uniform_int_distribution<int>(first, last)(random_); }
  double Uniform(double first, double last) {
    return std::uniform_real_distribution<double>(first, last)(random_);
  }
  double Normal() { return normal_(random_); }
  bool OneIn(int n) { return Int(1, n) == 1; }

 private:
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
};

// Multiples of 1/64 below 4: every product and sum of a few is exact.
double Dyadic(Draw& draw) { return draw.Int(-256, 256) / 64.0; }

ReluNetworkSpec DrawNetwork(Draw& draw) {
  const int examples = draw.OneIn(8) ? 1 : draw.Int(2, 14);
  const int inputs = draw.Int(1, 9);
  const bool dyadic = draw.OneIn(3);
  const double target_size = draw.OneIn(3) ? 10 : 1;
  auto data = std::make_shared<Dataset>();
  data->features.resize(examples, inputs);
  data->targets.resize(examples, 1);
  for (int i = 0; i < examples; ++i) {
    for (int k = 0; k < inputs; ++k) {
      data->features(i, k) = dyadic ? Dyadic(draw) : draw.Normal();
    }
    if (i > 0 && draw.OneIn(6)) {
      data->features.row(i) = (draw.OneIn(2) ? 1 : -1) * data->features.row(i - 1);
    }
    if (draw.OneIn(25)) {
      data->features.row(i).setZero();
    }
    data->targets(i, 0) = target_size * draw.Normal();
  }
  ReluNetworkSpec spec;
  spec.dataset.source = std::shared_ptr<const Dataset>(data);
  spec.width = draw.OneIn(10) ? 1 : draw.Int(2, 250);
  if (dyadic || draw.OneIn(4)) {
    auto weights = std::make_shared<Matrix>(spec.width, inputs);
    for (double& weight : weights->reshaped()) {
      weight = Dyadic(draw);
    }
    if (draw.OneIn(2)) {
      weights->row(draw.Int(0, static_cast<int>(spec.width) - 1)).setZero();  // all of them 0
    }
    spec.initial_hidden_weights = weights;
    auto signs = std::make_shared<Vector>(spec.width);
    for (double& sign : *signs) {
      sign = draw.OneIn(2) ? 1 : -1;
    }
    spec.output_weights = signs;
  }
  return spec;
}

// Stable for the linearised network, whose largest eigenvalue is at most |X|^2; of the theory's
// kind or not.
OptimizerSpec DrawMethod(Draw& draw, int method, double largest) {
  const double momentum = std::array<double, 4>{0.5, 0.9, 0.99, 0.999}[draw.Int(0, 3)];
  const double step = draw.Uniform(0.05, 1) / std::max(largest, 1e-3);
  switch (method) {
    case 0:
      return GradientDescentSpec{step};
    case 1:
      return PolyakMomentumSpec{step, momentum};
    default:
      return NesterovMomentumSpec{step, momentum};
  }
}

// The least |z| over the largest: where it is at the level of rounding, either side is right.
double NearestKink(const Matrix& weights, const Matrix& features, const Matrix& initial) {
  const Matrix z = weights * features.transpose();
  const double largest = std::max(z.cwiseAbs().maxCoeff(), initial.cwiseAbs().maxCoeff());
  double nearest = 1;
  for (Eigen::Index i = 0; i < z.cols(); ++i) {
    if (features.row(i).isZero(0)) {
      continue;
    }
    for (Eigen::Index r = 0; r < z.rows(); ++r) {
      // An exact 0 that has not moved is no doubt.
      if (z(r, i) != 0 || initial(r, i) != 0) {
        nearest = std::min(nearest, std::abs(z(r, i)) / largest);
      }
    }
  }
  return nearest;
}

struct Found {
  int networks = 0;
  int cut_short = 0;  // at an activation that rounding decides
  int unstable = 0;   // from where rounding alone, which DENSE does as well, would be seen
  int64_t flips = 0;
  double largest = 0;   // difference over its tolerance's unit
  double relative = 0;  // difference over the initial loss
  // Windows of kWindow iterations in each form, and ways from products back to events.
  int64_t event_windows = 0;
  int64_t product_windows = 0;
  int64_t returns = 0;
  double largest_alone = 0;  // as `largest`, of a run that stays event-driven whatever flips
};
constexpr int64_t kWindow = 16;

// Which form a run of the plan is in, as its saved state says behind the head of five numbers.
bool IsByProducts(const Stepper& stepper) {
  base::StringSink state;
  stepper.Save(state);
  return state.bytes()[40] != 0;
}

void PrintForms(const Found& found) {
  std::cout << "  windows of " << kWindow << " iterations: " << found.event_windows
            << " event by event, " << found.product_windows << " by products; " << found.returns
            << " returns to events; event by event alone, whatever flips: " << found.largest_alone
            << " of what is allowed\n";
}

// DENSE from weights that are off by what a few iterations round: how much a run makes of it.
class Twin {
 public:
  Twin(const Experiment& experiment, double relative, uint64_t seed)
      : problem_(MakeProblem(experiment.problem)) {
    Draw draw(seed);
    Vector start = problem_->initial_point();
    for (double& weight : start) {
      weight *= 1 + relative * (draw.OneIn(2) ? 1 : -1);
    }
    optimizer_ = MakeOptimizer(experiment.optimizer, start);
    gradient_.resize(start.size());
  }
  double NextLoss() {
    const double loss = problem_->Evaluate(optimizer_->iterate(), &gradient_).loss;
    optimizer_->Update(gradient_);
    return loss;
  }

 private:
  const std::unique_ptr<Problem> problem_;
  std::unique_ptr<Optimizer> optimizer_;
  Vector gradient_;
};

void Compare(const ReluNetworkSpec& spec, const OptimizerSpec& optimizer, double kappa_root,
             bool theorem, uint64_t seed, Found& found) {
  const auto instance = MakeReluNetworkInstance(spec, Seed{static_cast<int64_t>(seed)}).value();
  const Experiment experiment = {ProblemInstance(instance), optimizer};
  const auto problem = MakeProblem(experiment.problem);
  const auto dense = MakeOptimizer(optimizer, problem->initial_point());
  const auto reduced = MakeReducedReluStepper(experiment).value();
  EventDrivenNetwork alone(instance, LinearForm(optimizer));  // never by products
  bool by_products = false;
  Twin twin(experiment, 8 * kEpsilon * std::max(kappa_root, 1.0), seed);
  Vector gradient(problem->dimension());
  const Eigen::Map<const Matrix> weights(dense->iterate().data(), instance->width,
                                         instance->input_dimension());
  const Matrix initial = Matrix(weights) * instance->features.transpose();
  double initial_loss = 0;
  double largest_loss = 0;
  ++found.networks;
  for (int64_t t = 0; t <= kIterations; ++t) {
    const Observation expected = problem->Evaluate(dense->iterate(), &gradient);
    const Observation observed = reduced->Observe();
    if (t == 0) {
      initial_loss = largest_loss = expected.loss;
    }
    largest_loss = std::max(largest_loss, expected.loss);
    if (!(largest_loss < 1e6 * initial_loss) || initial_loss == 0) {
      return;  // it leaves the region in which rounding stays small
    }
    const double difference = std::abs(observed.loss - expected.loss);
    const double difference_alone = std::abs(alone.Observe().loss - expected.loss);
    if (t % kWindow == 0) {
      const bool was = std::exchange(by_products, IsByProducts(*reduced));
      ++(by_products ? found.product_windows : found.event_windows);
      found.returns += was && !by_products ? 1 : 0;
    }
    const double unit = theorem ? 1e-12 * initial_loss : 100 * kEpsilon * kappa_root * largest_loss;
    // Motion that multiplies every difference, as of a neuron that bounces at its kink, has no
    // digits to agree on: DENSE itself, from a start a few roundings away, is as far off.
    if (std::abs(twin.NextLoss() - expected.loss) > unit) {
      ++found.unstable;
      return;
    }
    found.largest = std::max(found.largest, difference / unit);
    found.largest_alone = std::max(found.largest_alone, difference_alone / unit);
    found.relative = std::max(found.relative, difference / initial_loss);
    // Where the plan would have left it, one form alone may round more.
    ASSERT_LE(difference_alone, 10 * unit) << "network " << seed << " iteration " << t;
    ASSERT_LE(difference, unit) << "network " << seed << " method " << optimizer.index()
                                << " iteration " << t << " loss " << expected.loss << " of "
                                << initial_loss;
    if (NearestKink(weights, instance->features, initial) < 1e-13) {
      ++found.cut_short;
      return;
    }
    if (t > 0) {
      ASSERT_EQ(reduced->flipped_share(), problem->flipped_share()) << seed << " " << t;
      ASSERT_EQ(alone.flipped_share(), problem->flipped_share()) << seed << " " << t;
    }
    dense->Update(gradient);
    reduced->Step();
    alone.Step();
  }
  found.flips += static_cast<int64_t>(
      std::lround(reduced->flipped_share() * static_cast<double>(instance->width) *
                  static_cast<double>(instance->examples())));
}

TEST(ReducedReluEquality, RandomNetworksRunAsByDense) {
  for (int method = 0; method < 3; ++method) {
    Found found;
    for (int k = 0; k < NetworksPerMethod(); ++k) {
      const auto seed = uint64_t{1000} * static_cast<uint64_t>(k) + static_cast<uint64_t>(method);
      Draw draw(seed);
      const ReluNetworkSpec spec = DrawNetwork(draw);
      const auto& data = *std::get<std::shared_ptr<const Dataset>>(spec.dataset.source);
      const double largest = data.features.squaredNorm();
      const OptimizerSpec optimizer = DrawMethod(draw, method, largest);
      const double momentum = LinearForm(optimizer).momentum;
      // What one rounding grows to: the sum of the answers of a root near 1.
      const double kappa_root = 1 / (1 - momentum) + 10;
      Compare(spec, optimizer, kappa_root, false, seed, found);
      if (HasFatalFailure()) {
        return;
      }
    }
    std::cout << "method " << method << ": " << found.networks << " networks, " << found.flips
              << " activations flipped in the end, " << found.cut_short
              << " compared up to a kink, " << found.unstable
              << " up to where rounding shows; largest difference " << found.relative
              << " of the initial loss, " << found.largest << " of what is allowed\n";
    PrintForms(found);
    EXPECT_GT(found.product_windows, 0);
    EXPECT_GT(found.returns, 0);
    EXPECT_GT(found.flips, 0);
    EXPECT_LT(found.unstable, found.networks / 4);
    EXPECT_LT(found.cut_short, found.networks / 4);
  }
}

TEST(ReducedReluEquality, RandomNetworksRunAsByDenseWithTheParametersOfTheTheorem) {
  for (int method = 0; method < 3; ++method) {
    Found found;
    for (int k = 0; k < NetworksPerMethod(); ++k) {
      const auto seed =
          uint64_t{1000} * static_cast<uint64_t>(k) + 500 + static_cast<uint64_t>(method);
      Draw draw(seed);
      ReluNetworkSpec spec;
      SyntheticDataSpec data;
      data.kind = SyntheticKind::kUnitSphere;
      data.examples = draw.Int(1, 12);
      data.input_dimension = draw.Int(2, 20);
      data.correlation = draw.Uniform(0, 0.9);
      spec.dataset.source = data;
      spec.width = draw.Int(50, 500);
      const auto instance = MakeReluNetworkInstance(spec, Seed{static_cast<int64_t>(seed)}).value();
      const OptimizerSpec asked =
          std::array<OptimizerSpec, 3>{GradientDescentSpec{}, PolyakMomentumSpec{},
                                       NesterovMomentumSpec{}}[static_cast<size_t>(method)];
      const auto theory = Resolve(ProblemInstance(instance), asked, Tuning::kTheorem);
      if (!theory.ok()) {
        continue;  // two examples are as good as parallel
      }
      Compare(spec, theory->optimizer, 0, true, seed, found);
      if (HasFatalFailure()) {
        return;
      }
    }
    std::cout << "theorem, method " << method << ": " << found.networks << " networks, "
              << found.flips << " activations flipped in the end, " << found.cut_short
              << " compared up to a kink, " << found.unstable
              << " up to where rounding shows; largest difference " << found.relative
              << " of the initial loss\n";
    PrintForms(found);
    EXPECT_LT(found.unstable, found.networks / 4);
  }
}

}  // namespace
}  // namespace polyak::conformance
