#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/problems/deep_linear_network.h"
#include "server/engine/random/normal_matrix.h"

namespace polyak::engine {
namespace {

DeepLinearNetworkSpec Spec(int64_t examples, int64_t inputs, int64_t outputs, int64_t width,
                           int depth) {
  SyntheticDataSpec data;
  data.examples = examples;
  data.input_dimension = inputs;
  data.output_dimension = outputs;
  data.seed = Seed{77};  // the same data whatever the seed of the weights
  DeepLinearNetworkSpec spec;
  spec.dataset.source = data;
  spec.width = width;
  spec.depth = depth;
  return spec;
}

std::shared_ptr<const DeepLinearNetworkInstance> Make(const DeepLinearNetworkSpec& spec,
                                                      int64_t seed) {
  const auto instance = MakeDeepLinearNetworkInstance(spec, Seed{seed});
  EXPECT_TRUE(instance.ok()) << instance.status();
  return *instance;
}

double DistanceFromIdentity(const Matrix& gram) {
  return (gram - Matrix::Identity(gram.rows(), gram.cols())).cwiseAbs().maxCoeff();
}

double OrthogonalityError(const std::vector<Matrix>& weights, double m) {
  double error = DistanceFromIdentity(weights.back() * weights.back().transpose() / m);
  for (size_t l = 0; l + 1 < weights.size(); ++l) {
    error = std::max(error, DistanceFromIdentity(weights[l].transpose() * weights[l] / m));
  }
  return error;
}

// Sums of at most 12 products of numbers that are themselves good to a few eps: 12 times 20 eps.
constexpr double kRounding = 5e-14;

TEST(DeepLinearStart, IsOrthogonalForEverySmallShape) {
  for (int64_t inputs = 1; inputs <= 4; ++inputs) {
    for (int64_t outputs = 1; outputs <= 4; ++outputs) {
      for (int64_t examples = 1; examples <= 5; ++examples) {
        for (int64_t extra = 0; extra <= 5; ++extra) {
          for (const int depth : {2, 3, 4}) {
            const int64_t width = std::max(inputs, outputs) + extra;
            const auto instance = Make(Spec(examples, inputs, outputs, width, depth), 3);
            EXPECT_LE(
                OrthogonalityError(InitialDeepLinearWeights(*instance), static_cast<double>(width)),
                kRounding)
                << "d_x " << inputs << ", d_y " << outputs << ", n " << examples << ", m " << width
                << ", L " << depth;
          }
        }
      }
    }
  }
}

double LargestError(const DeepLinearNetworkSpec& spec) {
  double largest = 0;
  for (int64_t seed = 0; seed < 2000; ++seed) {
    largest = std::max(largest, OrthogonalityError(InitialDeepLinearWeights(*Make(spec, seed)),
                                                   static_cast<double>(spec.width)));
  }
  return largest;
}

// A square normal matrix has a condition number without a mean: of 2,000 some are beyond 1e3. One
// is behind the position when there are as many outputs as neurons, one behind the rest of W_L when
// the outputs fill what the forward span leaves.
TEST(DeepLinearStart, IsOrthogonalForEverySeedThoughADrawIsNearlySingular) {
  EXPECT_LE(LargestError(Spec(4, 4, 5, 5, 2)), kRounding);
  EXPECT_LE(LargestError(Spec(1, 3, 3, 4, 2)), kRounding);
}

TEST(DeepLinearStart, MarksItselfAsOrthogonal) {
  DeepLinearNetworkSpec spec = Spec(5, 3, 2, 6, 3);
  EXPECT_TRUE(Make(spec, 1)->orthogonal_start);
  spec.initialization = DeepLinearInitialization::kGaussian;
  EXPECT_FALSE(Make(spec, 1)->orthogonal_start);
}

TEST(DeepLinearStart, IsTheGivenOneWhereWeightsAreGiven) {
  DeepLinearNetworkSpec spec = Spec(5, 3, 2, 4, 2);
  spec.initial_weights = std::make_shared<std::vector<Matrix>>(
      std::vector<Matrix>{Matrix::Constant(4, 3, 0.5), Matrix::Constant(2, 4, -0.25)});
  const auto weights = InitialDeepLinearWeights(*Make(spec, 1));
  ASSERT_EQ(weights.size(), 2U);
  EXPECT_EQ(weights[0], Matrix::Constant(4, 3, 0.5));
  EXPECT_EQ(weights[1], Matrix::Constant(2, 4, -0.25));
}

TEST(DeepLinearStart, IsByTheSeedAndNothingElse) {
  const auto spec = Spec(5, 3, 2, 7, 3);
  EXPECT_EQ(InitialDeepLinearWeights(*Make(spec, 4)), InitialDeepLinearWeights(*Make(spec, 4)));
  const auto one = InitialDeepLinearWeights(*Make(spec, 4));
  const auto two = InitialDeepLinearWeights(*Make(spec, 5));
  for (size_t l = 0; l < one.size(); ++l) {
    EXPECT_NE(one[l], two[l]) << l;
  }
}

TEST(DeepLinearStart, OfGaussianLayersIsEachLayersOwnStreamByColumns) {
  DeepLinearNetworkSpec spec = Spec(5, 3, 2, 4, 3);
  spec.initialization = DeepLinearInitialization::kGaussian;
  const auto weights = InitialDeepLinearWeights(*Make(spec, 9));
  ASSERT_EQ(weights.size(), 3U);
  const Eigen::Index rows[] = {4, 4, 2};
  const Eigen::Index cols[] = {3, 4, 4};
  for (uint32_t l = 1; l <= 3; ++l) {
    const RandomStream stream(Seed{9}, DrawPurpose::kDeepLinearWeights, l);
    EXPECT_EQ(weights[l - 1], NormalMatrixByColumns(stream, rows[l - 1], cols[l - 1]));
  }
}

// M = Q' W_L' / sqrt(m), Q the orthonormal image of the data's left singular vectors below W_L.
Matrix RelativePosition(const DeepLinearNetworkInstance& instance) {
  const std::vector<Matrix> weights = InitialDeepLinearWeights(instance);
  const double root = std::sqrt(static_cast<double>(instance.width));
  Matrix basis = instance.left;
  for (size_t l = 0; l + 1 < weights.size(); ++l) {
    basis = (weights[l] * basis / root).eval();
  }
  return basis.transpose() * weights.back().transpose() / root;
}

struct Moment {
  std::string name;
  std::function<double(const Matrix&)> value;
  double mean;
};

// Of entries of a Haar orthogonal m x m matrix; the last two need a second row and column.
std::vector<Moment> Moments(double m) {
  const double fourth = m * (m + 2);
  return {
      {"M11", [](const Matrix& p) { return p(0, 0); }, 0},
      {"M11^2", [](const Matrix& p) { return std::pow(p(0, 0), 2); }, 1 / m},
      {"M22^2", [](const Matrix& p) { return std::pow(p(1, 1), 2); }, 1 / m},
      {"M11 M22", [](const Matrix& p) { return p(0, 0) * p(1, 1); }, 0},
      {"M11 M12", [](const Matrix& p) { return p(0, 0) * p(0, 1); }, 0},
      {"M11^4", [](const Matrix& p) { return std::pow(p(0, 0), 4); }, 3 / fourth},
      {"M11^2 M12^2", [](const Matrix& p) { return std::pow(p(0, 0) * p(0, 1), 2); }, 1 / fourth},
      {"M11^2 M21^2", [](const Matrix& p) { return std::pow(p(0, 0) * p(1, 0), 2); }, 1 / fourth},
      {"M11^2 M22^2", [](const Matrix& p) { return std::pow(p(0, 0) * p(1, 1), 2); },
       (m + 1) / ((m - 1) * fourth)},
      {"M11 M12 M21 M22", [](const Matrix& p) { return p(0, 0) * p(0, 1) * p(1, 0) * p(1, 1); },
       -1 / ((m - 1) * fourth)},
  };
}

struct Shape {
  std::string name;
  int64_t inputs;
  int64_t outputs;
  int64_t width;
};

class RelativePositionMoments : public ::testing::TestWithParam<Shape> {};

TEST_P(RelativePositionMoments, AreThoseOfABlockOfAUniformOrthogonalMatrix) {
  constexpr int kSeeds = 4000;
  const Shape& shape = GetParam();
  const auto moments = Moments(static_cast<double>(shape.width));
  std::vector<double> sums(moments.size(), 0);
  std::vector<double> squares(moments.size(), 0);
  const auto spec = Spec(shape.inputs, shape.inputs, shape.outputs, shape.width, 2);
  for (int seed = 0; seed < kSeeds; ++seed) {
    const Matrix position = RelativePosition(*Make(spec, seed));
    ASSERT_EQ(position.rows(), shape.inputs);
    ASSERT_EQ(position.cols(), shape.outputs);
    for (size_t k = 0; k < moments.size(); ++k) {
      const double value = moments[k].value(position);
      sums[k] += value;
      squares[k] += value * value;
    }
  }
  for (size_t k = 0; k < moments.size(); ++k) {
    const double mean = sums[k] / kSeeds;
    const double deviation = std::sqrt(squares[k] / kSeeds - mean * mean);
    // Four and a half standard errors of a mean of 4,000: one in 150,000 for each of 60.
    EXPECT_NEAR(mean, moments[k].mean, 4.5 * deviation / std::sqrt(kSeeds)) << moments[k].name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, RelativePositionMoments,
    ::testing::Values(Shape{"Wide", 3, 2, 12}, Shape{"WidthIsTheSum", 3, 2, 5},
                      Shape{"SingularByOne", 3, 2, 4}, Shape{"SingularSquare", 2, 4, 4},
                      Shape{"NothingLeft", 3, 2, 3},
                      // More than 64 degrees of freedom: the other way to draw a chi-square.
                      Shape{"ManyDegrees", 2, 2, 80}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace polyak::engine
