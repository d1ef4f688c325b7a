#include "server/engine/problems/deep_linear_network.h"

#include <Eigen/SVD>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "server/base/status_macros.h"
#include "server/engine/problems/deep_linear_start.h"

namespace polyak::engine {
namespace {

constexpr double kRankTolerance = 1e-12;           // of the largest singular value
constexpr double kOrthogonalityTolerance = 1e-10;  // of given weights, relative to m

struct LayerShape {
  Eigen::Index rows;
  Eigen::Index cols;
};

// Shape of W_l, l = 1 .. L.
LayerShape ShapeOfLayer(const DeepLinearNetworkInstance& instance, int layer) {
  return {layer == instance.depth ? instance.output_dimension() : instance.width,
          layer == 1 ? instance.input_dimension() : instance.width};
}

class DeepLinearNetwork : public Problem {
 public:
  explicit DeepLinearNetwork(std::shared_ptr<const DeepLinearNetworkInstance> instance)
      : instance_(std::move(instance)),
        layer_scale_(1 / std::sqrt(static_cast<double>(instance_->width))),
        output_scale_(1 / std::sqrt(static_cast<double>(instance_->output_dimension()))),
        // X V = U S and Y V: the loss lives in the data's row space, and X V V' = X keeps the
        // gradient the same.
        inputs_(instance_->left * instance_->singular_values.asDiagonal()),
        targets_(instance_->targets.transpose() * instance_->right) {
    const std::vector<Matrix> weights = InitialDeepLinearWeights(*instance_);
    Eigen::Index size = 0;
    for (const Matrix& layer : weights) {
      offsets_.push_back(size);
      size += layer.size();
    }
    initial_point_.resize(size);
    for (size_t l = 0; l < weights.size(); ++l) {
      initial_point_.segment(offsets_[l], weights[l].size()) =
          Eigen::Map<const Vector>(weights[l].data(), weights[l].size());
    }
    forward_.resize(weights.size());
    backward_.resize(weights.size());
  }

  int64_t dimension() const override { return initial_point_.size(); }
  const Vector& initial_point() const override { return initial_point_; }
  double flipped_share() const override { return std::numeric_limits<double>::quiet_NaN(); }

  // The factor 1 / sqrt(m^{L-1} d_y) comes in layer by layer, 1 / sqrt(m) each: m^{(L-1)/2} itself
  // leaves the numbers at m = 10^9, L = 70.
  Observation Evaluate(const Vector& w, Vector* gradient) override {
    const int depth = instance_->depth;
    for (int l = 1; l <= depth; ++l) {
      Forward(l).noalias() = Layer(w, l) * (l == 1 ? inputs_ : Forward(l - 1));
      Forward(l) *= l == depth ? output_scale_ : layer_scale_;
    }
    residual_ = Forward(depth) - targets_;
    const double squared_norm = residual_.squaredNorm();
    if (gradient != nullptr) {
      // dL/dW_l = (W_L ... W_{l+1})' xi (W_{l-1} ... W_1 X)' / sqrt(m^{L-1} d_y)
      Backward(depth) = output_scale_ * residual_;
      for (int l = depth; l >= 1; --l) {
        const LayerShape shape = ShapeOfLayer(*instance_, l);
        Eigen::Map<Matrix>(gradient->data() + offsets_[l - 1], shape.rows, shape.cols).noalias() =
            Backward(l) * (l == 1 ? inputs_ : Forward(l - 1)).transpose();
        if (l > 1) {
          Backward(l - 1).noalias() = Layer(w, l).transpose() * Backward(l);
          Backward(l - 1) *= layer_scale_;
        }
      }
    }
    return {0.5 * squared_norm, std::sqrt(squared_norm)};
  }

  // A change D of W_l changes the outputs by B_l' D F_{l-1}, with F the forward images of X V and
  // B_l (rows of l x d_y) the backward images of the outputs:
  //   H = sum_l (B_l' B_l) (x) (F_{l-1}' F_{l-1}), d_y r x d_y r.
  Diagnostics Diagnose(const Vector& w) const override {
    const int depth = instance_->depth;
    const Eigen::Index outputs = instance_->output_dimension();
    const Eigen::Index order = outputs * inputs_.cols();
    Diagnostics diagnostics;
    diagnostics.distance_from_start = (w - initial_point_).norm();
    if (order > kGramOrderMax) {
      return diagnostics;
    }
    Matrix gram = Matrix::Zero(order, order);
    Matrix backward = output_scale_ * Matrix::Identity(outputs, outputs);
    for (int l = depth; l >= 1; --l) {
      const Matrix& before = l == 1 ? inputs_ : forward_[l - 2];
      AddKroneckerProduct(backward.transpose() * backward, before.transpose() * before, gram);
      if (l > 1) {
        backward = (layer_scale_ * (Layer(w, l).transpose() * backward)).eval();
      }
    }
    DescribeGram(gram, diagnostics);
    return diagnostics;
  }

 private:
  Eigen::Map<const Matrix> Layer(const Vector& w, int layer) const {
    const LayerShape shape = ShapeOfLayer(*instance_, layer);
    return {w.data() + offsets_[layer - 1], shape.rows, shape.cols};
  }
  Matrix& Forward(int layer) { return forward_[layer - 1]; }    // W_l ... W_1 X V, scaled
  Matrix& Backward(int layer) { return backward_[layer - 1]; }  // dL / d(forward of l)

  const std::shared_ptr<const DeepLinearNetworkInstance> instance_;
  const double layer_scale_;   // of W_1 .. W_{L-1}
  const double output_scale_;  // of W_L
  const Matrix inputs_;        // d_x x r
  const Matrix targets_;       // d_y x r
  std::vector<Eigen::Index> offsets_;
  Vector initial_point_;
  std::vector<Matrix> forward_;
  std::vector<Matrix> backward_;
  Matrix residual_;  // d_y x r
};

double DistanceFromIdentity(const Matrix& gram) {
  return (gram - Matrix::Identity(gram.rows(), gram.cols()))
      .cwiseAbs()
      .maxCoeff<Eigen::PropagateNaN>();
}

// How far W_1' W_1 = m I, hidden W_l' W_l = m I, W_L W_L' = m I are from true, relative to m.
// 1 where a shape alone rules it out: such a product may be larger than all else of the job.
double OrthogonalityError(const std::vector<Matrix>& weights, double width) {
  const auto is_wide = [](const Matrix& w) { return w.cols() > w.rows(); };
  if (std::any_of(weights.begin(), weights.end() - 1, is_wide) ||
      weights.back().rows() > weights.back().cols()) {
    return 1;
  }
  double error = DistanceFromIdentity(weights.back() * weights.back().transpose() / width);
  for (size_t l = 0; l + 1 < weights.size(); ++l) {
    const double of_layer = DistanceFromIdentity(weights[l].transpose() * weights[l] / width);
    if (of_layer > error || std::isnan(of_layer)) {
      error = of_layer;
    }
  }
  return error;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const DeepLinearNetworkInstance>> MakeDeepLinearNetworkInstance(
    const DeepLinearNetworkSpec& spec, Seed seed) {
  POLYAK_ASSIGN_OR_RETURN(Dataset data, MakeDataset(spec.dataset, seed));
  auto instance = std::make_shared<DeepLinearNetworkInstance>();
  instance->features = std::move(data.features);
  instance->targets = std::move(data.targets);
  instance->width = spec.width;
  instance->depth = spec.depth;
  instance->initialization = spec.initialization;
  instance->initial_weights = spec.initial_weights;
  instance->seed = seed;

  const Eigen::BDCSVD<Matrix> svd(instance->features, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Vector& singular_values = svd.singularValues();
  if (!(singular_values(0) > 0)) {
    return absl::InvalidArgumentError(
        "every feature is zero, so there is nothing to learn from; accepted: features with a "
        "non-zero singular value");
  }
  Eigen::Index rank = 0;
  while (rank < singular_values.size() &&
         singular_values(rank) > kRankTolerance * singular_values(0)) {
    ++rank;
  }
  instance->singular_values = singular_values.head(rank);
  // The data matrix of theory is X = features' (d_x x n) = U S V': its U is the features' V.
  instance->left = svd.matrixV().leftCols(rank);
  instance->right = svd.matrixU().leftCols(rank);
  const Matrix reachable = instance->right * (instance->right.transpose() * instance->targets);
  instance->loss_floor = 0.5 * (instance->targets - reachable).squaredNorm();
  if (spec.initial_weights != nullptr) {
    instance->orthogonality_error =
        OrthogonalityError(*spec.initial_weights, static_cast<double>(spec.width));
    instance->orthogonal_start = instance->orthogonality_error <= kOrthogonalityTolerance;
  } else {
    instance->orthogonal_start = spec.initialization == DeepLinearInitialization::kOrthogonal;
  }
  return instance;
}

Matrix InitialDeepLinearResidual(const DeepLinearNetworkInstance& instance) {
  const Matrix targets = instance.targets.transpose() * instance.right;
  const auto singular_values = instance.singular_values.asDiagonal();
  if (instance.orthogonal_start && instance.initial_weights == nullptr) {
    // W_{L-1} ... W_1 U = m^{(L-1)/2} Q and Q' W_L' = sqrt(m) M.
    const double scale = std::sqrt(static_cast<double>(instance.width) /
                                   static_cast<double>(instance.output_dimension()));
    return scale * (DrawRelativeStart(instance).position.transpose() * singular_values) - targets;
  }
  Matrix product = instance.left * singular_values;
  const std::vector<Matrix> weights = InitialDeepLinearWeights(instance);
  for (const Matrix& layer : weights) {
    const double scale = &layer == &weights.back()
                             ? static_cast<double>(instance.output_dimension())
                             : static_cast<double>(instance.width);
    product = (layer * product / std::sqrt(scale)).eval();
  }
  return product - targets;
}

std::unique_ptr<Problem> MakeDeepLinearNetworkProblem(
    std::shared_ptr<const DeepLinearNetworkInstance> instance) {
  return std::make_unique<DeepLinearNetwork>(std::move(instance));
}

}  // namespace polyak::engine
