#include "server/engine/problems/relu_network.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"

namespace polyak::engine {
namespace {

class ReluNetwork : public Problem {
 public:
  explicit ReluNetwork(std::shared_ptr<const ReluNetworkInstance> instance)
      : instance_(std::move(instance)),
        scaled_output_(OutputWeights(*instance_) /
                       std::sqrt(static_cast<double>(instance_->width))),
        initial_point_(instance_->width * instance_->input_dimension()),
        activations_(instance_->width, instance_->examples()),
        residual_(instance_->examples()) {
    Matrix weights(instance_->width, instance_->input_dimension());
    FillInitialHiddenWeights(*instance_, 0, weights);
    initial_point_ = Eigen::Map<const Vector>(weights.data(), weights.size());
    activations_.noalias() = weights * instance_->features.transpose();
    initial_mask_.resize(static_cast<size_t>(activations_.size()));
    for (Eigen::Index k = 0; k < activations_.size(); ++k) {
      initial_mask_[static_cast<size_t>(k)] = activations_.data()[k] > 0;
    }
  }

  int64_t dimension() const override { return initial_point_.size(); }
  const Vector& initial_point() const override { return initial_point_; }

  Observation Evaluate(const Vector& w, Vector* gradient) override {
    const Eigen::Index width = instance_->width;
    const Eigen::Map<const Matrix> weights(w.data(), width, instance_->input_dimension());
    // Z = W X' (m x n); f_i = sum_r a_r / sqrt(m) max(0, z_ri).
    activations_.noalias() = weights * instance_->features.transpose();
    for (Eigen::Index i = 0; i < residual_.size(); ++i) {
      double output = 0;
      const double* const z = activations_.col(i).data();
      for (Eigen::Index r = 0; r < width; ++r) {
        // Asked this way round, NaN is no dead neuron: it reaches the record of a run that
        // diverged.
        output += z[r] <= 0 ? 0.0 : scaled_output_(r) * z[r];
      }
      residual_(i) = output - instance_->targets(i);
    }
    if (gradient != nullptr) {
      WriteGradient(*gradient);
    }
    const double squared_norm = residual_.squaredNorm();
    return {0.5 * squared_norm, std::sqrt(squared_norm)};
  }

  double flipped_share() const override {
    if (mask_.empty()) {
      return 0;  // nothing was evaluated yet
    }
    int64_t flipped = 0;
    for (Eigen::Index k = 0; k < activations_.size(); ++k) {
      flipped += mask_[static_cast<size_t>(k)] != initial_mask_[static_cast<size_t>(k)];
    }
    return static_cast<double>(flipped) / static_cast<double>(activations_.size());
  }

  // J = dF/dW has the rows s_r 1[z_ri > 0] x_i: H_ij = x_i.x_j sum_r b_ri b_rj / m.
  Diagnostics Diagnose(const Vector& w) const override {
    const Eigen::Index width = instance_->width;
    const Eigen::Index examples = residual_.size();
    constexpr Eigen::Index kBlock = 1024;
    Matrix common = Matrix::Zero(examples, examples);  // sum_r b_ri b_rj, whole numbers
    for (Eigen::Index first = 0; first < width; first += kBlock) {
      Matrix active(std::min(kBlock, width - first), examples);
      for (Eigen::Index i = 0; i < examples; ++i) {
        for (Eigen::Index r = 0; r < active.rows(); ++r) {
          active(r, i) = mask_[static_cast<size_t>(first + r + i * width)];
        }
      }
      common.noalias() += active.transpose() * active;
    }
    const Matrix inner = instance_->features * instance_->features.transpose();
    Diagnostics diagnostics;
    DescribeGram(inner.cwiseProduct(common) / static_cast<double>(width), diagnostics);
    diagnostics.flipped_share = flipped_share();
    diagnostics.distance_from_start = (w - initial_point_).norm();
    return diagnostics;
  }

 private:
  // dL/dW = C X with C_ri = a_r / sqrt(m) 1[z_ri > 0] xi_i; C takes the place of Z.
  void WriteGradient(Vector& gradient) {
    const Eigen::Index width = instance_->width;
    mask_.resize(initial_mask_.size());
    for (Eigen::Index i = 0; i < residual_.size(); ++i) {
      double* const z = activations_.col(i).data();
      uint8_t* const mask = mask_.data() + i * width;
      const double xi = residual_(i);
      for (Eigen::Index r = 0; r < width; ++r) {
        mask[r] = z[r] > 0;
        z[r] = z[r] > 0 ? scaled_output_(r) * xi : 0.0;
      }
    }
    Eigen::Map<Matrix>(gradient.data(), width, instance_->input_dimension()).noalias() =
        activations_ * instance_->features;
  }

  const std::shared_ptr<const ReluNetworkInstance> instance_;
  const Vector scaled_output_;  // a / sqrt(m)
  Vector initial_point_;
  Matrix activations_;  // Z, then C: m x n
  Vector residual_;     // xi (n)
  std::vector<uint8_t> initial_mask_;
  std::vector<uint8_t> mask_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const ReluNetworkInstance>> MakeReluNetworkInstance(
    const ReluNetworkSpec& spec, Seed seed) {
  POLYAK_ASSIGN_OR_RETURN(Dataset data, MakeDataset(spec.dataset, seed));
  auto instance = std::make_shared<ReluNetworkInstance>();
  instance->features = std::move(data.features);
  instance->targets = data.targets.col(0);
  instance->width = spec.width;
  instance->initial_hidden_weights = spec.initial_hidden_weights;
  instance->output_weights = spec.output_weights;
  instance->seed = seed;
  return instance;
}

void FillInitialHiddenWeights(const ReluNetworkInstance& instance, int64_t first, Matrix& weights) {
  if (instance.initial_hidden_weights != nullptr) {
    weights = instance.initial_hidden_weights->middleRows(first, weights.rows());
    return;
  }
  const RandomStream stream(instance.seed, DrawPurpose::kHiddenWeights);
  const Eigen::Index dimension = weights.cols();
  Vector row(dimension);
  for (Eigen::Index r = 0; r < weights.rows(); ++r) {
    stream.FillNormal(static_cast<uint64_t>((first + r) * dimension),
                      std::span<double>(row.data(), static_cast<size_t>(dimension)));
    weights.row(r) = row.transpose();
  }
}

Vector OutputWeights(const ReluNetworkInstance& instance) {
  if (instance.output_weights != nullptr) {
    return *instance.output_weights;
  }
  const RandomStream stream(instance.seed, DrawPurpose::kOutputWeights);
  Vector weights(instance.width);
  for (Eigen::Index r = 0; r < instance.width; ++r) {
    weights(r) = stream.Sign(static_cast<uint64_t>(r));
  }
  return weights;
}

double OutputWeight(const ReluNetworkInstance& instance, int64_t row) {
  if (instance.output_weights != nullptr) {
    return (*instance.output_weights)(row);
  }
  return RandomStream(instance.seed, DrawPurpose::kOutputWeights).Sign(static_cast<uint64_t>(row));
}

std::unique_ptr<Problem> MakeReluNetworkProblem(
    std::shared_ptr<const ReluNetworkInstance> instance) {
  return std::make_unique<ReluNetwork>(std::move(instance));
}

}  // namespace polyak::engine
