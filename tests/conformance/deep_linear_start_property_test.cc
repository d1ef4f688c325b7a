// The orthogonal start of a deep linear network, for random shapes: W_1' W_1 = m I, hidden W_l' W_l
// = m I, W_L W_L' = m I, and with them H_0 = (L / d_y) X'X (x) I, by the Jacobian of the network
// itself. rapidcheck draws (seed by RC_PARAMS, see script/test).

#include <rapidcheck.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/problems/deep_linear_network.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it

// Shapes from the least width, max(d_x, d_y), on: with d_y > m - r the draw of the position is
// singular, at m = r there is nothing to draw.
std::shared_ptr<const DeepLinearNetworkInstance> DrawInstance(int largest) {
  SyntheticDataSpec data;
  data.examples = *rc::gen::inRange(1, largest + 2);
  data.input_dimension = *rc::gen::inRange(1, largest + 1);
  data.output_dimension = *rc::gen::inRange(1, largest + 1);
  if (*rc::gen::arbitrary<bool>()) {
    data.condition_number = 10;
  }
  DeepLinearNetworkSpec spec;
  spec.dataset.source = data;
  spec.depth = *rc::gen::inRange(2, 5);
  spec.width =
      std::max(data.input_dimension, data.output_dimension) + *rc::gen::element(0, 0, 1, 2, 3, 10);
  const auto instance =
      MakeDeepLinearNetworkInstance(spec, Seed{*rc::gen::inRange<int64_t>(0, 1000000)});
  RC_ASSERT(instance.ok());
  return *instance;
}

double DistanceFromIdentity(const Matrix& gram) {
  return (gram - Matrix::Identity(gram.rows(), gram.cols())).cwiseAbs().maxCoeff();
}

// Orthogonal to rounding: sums of up to 20 products of a QR, a root and two projections.
constexpr double kTolerance = 1e-12;

TEST(DeepLinearStart, IsOrthogonalForEveryShape) {
  EXPECT_TRUE(rc::check("the start is orthogonal for every shape", [] {
    const auto instance = DrawInstance(8);
    const auto m = static_cast<double>(instance->width);
    const std::vector<Matrix> weights = InitialDeepLinearWeights(*instance);
    RC_ASSERT(weights.size() == static_cast<size_t>(instance->depth));
    RC_ASSERT(weights.front().rows() == instance->width);
    RC_ASSERT(weights.front().cols() == instance->input_dimension());
    RC_ASSERT(weights.back().rows() == instance->output_dimension());
    RC_ASSERT(weights.back().cols() == instance->width);
    for (size_t l = 0; l + 1 < weights.size(); ++l) {
      RC_ASSERT(DistanceFromIdentity(weights[l].transpose() * weights[l] / m) <= kTolerance);
    }
    RC_ASSERT(DistanceFromIdentity(weights.back() * weights.back().transpose() / m) <= kTolerance);
  }));
}

// N(X) as one vector, column by column.
Vector Outputs(const DeepLinearNetworkInstance& instance, const std::vector<Matrix>& weights) {
  Matrix product = instance.features.transpose();
  for (const Matrix& layer : weights) {
    product = (layer * product).eval();
  }
  const double scale = std::pow(static_cast<double>(instance.width), 0.5 * (1 - instance.depth)) /
                       std::sqrt(static_cast<double>(instance.output_dimension()));
  return scale * product.reshaped();
}

// N is linear in each single weight, so differences over any step give its exact derivative.
Matrix Jacobian(const DeepLinearNetworkInstance& instance, std::vector<Matrix> weights) {
  std::vector<Vector> columns;
  for (Matrix& layer : weights) {
    for (double& weight : layer.reshaped()) {
      const double kept = weight;
      weight = kept + 1;
      const Vector above = Outputs(instance, weights);
      weight = kept - 1;
      columns.emplace_back((above - Outputs(instance, weights)) / 2);
      weight = kept;
    }
  }
  Matrix jacobian(columns.front().size(), static_cast<Eigen::Index>(columns.size()));
  for (size_t k = 0; k < columns.size(); ++k) {
    jacobian.col(static_cast<Eigen::Index>(k)) = columns[k];
  }
  return jacobian;
}

TEST(DeepLinearStart, HasTheSpectrumThatTheoryTakes) {
  EXPECT_TRUE(rc::check("H_0 = (L / d_y) X'X (x) I at an orthogonal start", [] {
    const auto instance = DrawInstance(4);
    const Matrix jacobian = Jacobian(*instance, InitialDeepLinearWeights(*instance));
    const auto outputs = static_cast<Eigen::Index>(instance->output_dimension());
    const double factor = static_cast<double>(instance->depth) / static_cast<double>(outputs);
    const Matrix gram = factor * instance->features * instance->features.transpose();
    Matrix expected = Matrix::Zero(jacobian.rows(), jacobian.rows());
    for (Eigen::Index i = 0; i < gram.rows(); ++i) {
      for (Eigen::Index j = 0; j < gram.cols(); ++j) {
        expected.block(i * outputs, j * outputs, outputs, outputs) =
            gram(i, j) * Matrix::Identity(outputs, outputs);
      }
    }
    RC_ASSERT((jacobian * jacobian.transpose() - expected).cwiseAbs().maxCoeff() <=
              10 * kTolerance * gram.cwiseAbs().maxCoeff());
  }));
}

}  // namespace
}  // namespace polyak::conformance
