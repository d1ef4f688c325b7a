#include "server/engine/plans/dense_deep_linear.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/engine/plans/dense_state.h"
#include "server/engine/plans/trained_tiles.h"

namespace polyak::engine {
namespace {

class DenseDeepLinearStepper : public Stepper {
 public:
  DenseDeepLinearStepper(std::shared_ptr<const DeepLinearNetworkInstance> instance,
                         const OptimizerSpec& optimizer)
      : instance_(std::move(instance)),
        method_(LinearForm(optimizer)),
        layer_scale_(1 / std::sqrt(static_cast<double>(instance_->width))),
        output_scale_(1 / std::sqrt(static_cast<double>(instance_->output_dimension()))),
        // X V V' = X: the loss lives in the data's row space, and the gradient stays the same.
        targets_(instance_->targets.transpose() * instance_->right),
        residual_(targets_.rows(), targets_.cols()) {
    const bool with_memory = StateVectors(optimizer) > 1;
    forward_.emplace_back(Matrix(instance_->left * instance_->singular_values.asDiagonal()));
    backward_.emplace_back(0, 0);  // of the data: nobody asks
    std::vector<Matrix> weights = InitialDeepLinearWeights(*instance_);
    for (Matrix& start : weights) {
      layers_.emplace_back(start.rows(), start.cols(), with_memory);
      TiledMatrix& tiles = layers_.back().weights();
      for (int64_t j = 0; j < start.cols(); ++j) {
        for (int64_t i = 0; i < start.rows(); ++i) {
          tiles(i, j) = start(i, j);
        }
      }
      slopes_.emplace_back(start.cols(), inner_columns());
      forward_.emplace_back(start.rows(), targets_.cols());
      backward_.emplace_back(start.rows(), inner_columns());
      start.resize(0, 0);
    }
  }

  Observation Observe() override {
    observed_ = true;
    Evaluate();
    return observation_;
  }

  void Step() override {
    at_start_ = false;
    Evaluate();
    GoBackward();
    for (size_t l = 0; l < layers_.size(); ++l) {
      const double columns = 2.0 * static_cast<double>(inner_columns() + targets_.cols());
      PassForward(l, columns, [&](int64_t first, int64_t last) {
        layers_[l].MoveAndAddProduct(first, last, method_, backward_[l + 1].strip(first),
                                     slopes_[l], forward_[l], forward_[l + 1]);
      });
    }
    is_evaluated_ = true;
    ReadResidual();
  }

  double flipped_share() const override { return std::numeric_limits<double>::quiet_NaN(); }

  Diagnostics Diagnose() override {
    Diagnostics diagnostics;
    diagnostics.distance_from_start = DistanceFromStart();
    const int64_t outputs = targets_.rows();
    const Eigen::Index order = outputs * targets_.cols();
    if (order > kGramOrderMax) {
      return diagnostics;
    }
    Evaluate();
    Matrix gram = Matrix::Zero(order, order);
    StripMatrix backward(Matrix(output_scale_ * Matrix::Identity(outputs, outputs)));
    for (size_t l = layers_.size(); l-- > 0;) {
      AddKroneckerProduct(InnerProducts(backward), InnerProducts(forward_[l]), gram);
      if (l > 0) {
        StripMatrix next(layers_[l].weights().cols(), outputs);
        layers_[l].TransposedProduct(0, layers_[l].weights().panels(), backward, next);
        next.Scale(layer_scale_, 0, next.strips());
        backward = std::move(next);
      }
    }
    DescribeGram(gram, diagnostics);
    return diagnostics;
  }

  void WriteIterate(base::ByteSink& out) const override {
    for (const TrainedTiles& layer : layers_) {
      layer.weights().Write(out);
    }
  }
  void Save(base::ByteSink& out) const override {
    SaveDense(layers_, method_, out);
    SaveObservation(observed_, observation_, out);
  }
  absl::Status Load(base::ByteSource& in) override {
    at_start_ = false;
    POLYAK_RETURN_IF_ERROR(LoadDense(in, method_, layers_));
    const SavedObservation saved = ReadObservation(in);
    POLYAK_RETURN_IF_ERROR(in.status());
    is_evaluated_ = false;
    observed_ = saved.observed;
    if (observed_) {
      Evaluate();
    }
    return CheckSameObservation(observation_, saved.observation);
  }

 private:
  // A'A.
  static Matrix InnerProducts(const StripMatrix& a) {
    Matrix products = Matrix::Zero(a.cols(), a.cols());
    constexpr int64_t kRows = 256;  // copied at a time
    for (int64_t first = 0; first < a.rows(); first += kRows) {
      Matrix block(std::min(kRows, a.rows() - first), a.cols());
      for (int64_t j = 0; j < a.cols(); ++j) {
        for (int64_t i = 0; i < block.rows(); ++i) {
          block(i, j) = a(first + i, j);
        }
      }
      products.noalias() += block.transpose() * block;
    }
    return products;
  }
  // |W_t - W_0| of all layers. The start is kept from the first time on; made anew only by a run
  // that was loaded.
  double DistanceFromStart() {
    if (start_.empty() && !at_start_) {
      start_ = InitialDeepLinearWeights(*instance_);
    }
    for (size_t l = start_.size(); at_start_ && l < layers_.size(); ++l) {
      const TiledMatrix& weights = layers_[l].weights();
      Matrix& start = start_.emplace_back(weights.rows(), weights.cols());
      for (int64_t j = 0; j < weights.cols(); ++j) {
        for (int64_t i = 0; i < weights.rows(); ++i) {
          start(i, j) = weights(i, j);
        }
      }
    }
    double squares = 0;
    for (size_t l = 0; l < layers_.size(); ++l) {
      const TiledMatrix& weights = layers_[l].weights();
      for (int64_t j = 0; j < weights.cols(); ++j) {
        for (int64_t i = 0; i < weights.rows(); ++i) {
          const double moved = weights(i, j) - start_[l](i, j);
          squares += moved * moved;
        }
      }
    }
    return std::sqrt(squares);
  }
  // Of the product whose transpose goes backward: the outputs, or, where those are more than the
  // data's rank, the columns of the residual.
  int64_t inner_columns() const { return std::min(targets_.rows(), targets_.cols()); }
  bool outputs_go_backward() const { return targets_.rows() <= targets_.cols(); }
  double ScaleOf(size_t layer) const {
    return layer + 1 == layers_.size() ? output_scale_ : layer_scale_;
  }
  double EntriesOf(size_t layer) const {
    return static_cast<double>(layers_[layer].weights().rows()) *
           static_cast<double>(layers_[layer].weights().cols());
  }

  // One pass over a layer that gives its forward image: work(first, last) adds up strips of it.
  //   The factor 1 / sqrt(m^{L-1} d_y) comes in layer by layer: m^{(L-1)/2} itself leaves the
  //   numbers at m = 10^9, L = 70.
  template <typename Work>
  void PassForward(size_t layer, double flops_of_entry, const Work& work) {
    StripMatrix& image = forward_[layer + 1];
    ForEachStepPart(flops_of_entry * EntriesOf(layer), [&](int part) {
      const int64_t first = FirstOfPart(part, image.strips());
      const int64_t last = FirstOfPart(part + 1, image.strips());
      image.SetZero(first, last);
      work(first, last);
      image.Scale(ScaleOf(layer), first, last);
      if (last == image.strips()) {
        image.ClearPadding();  // infinity times 0 is NaN, which the next layer would take up
      }
    });
  }

  // The two factors of each layer's gradient, backward_[l + 1] slopes_[l]'.
  void GoBackward() {
    const size_t depth = layers_.size();
    const bool outputs = outputs_go_backward();
    for (int64_t i = 0; i < targets_.rows(); ++i) {
      for (int64_t c = 0; c < inner_columns(); ++c) {
        backward_[depth](i, c) = output_scale_ * (outputs ? (i == c ? 1.0 : 0.0) : residual_(i, c));
      }
    }
    for (size_t l = depth; l-- > 0;) {
      if (l > 0) {
        StripMatrix& image = backward_[l];
        const TrainedTiles& layer = layers_[l];
        ForEachStepPart(2.0 * static_cast<double>(inner_columns()) * EntriesOf(l), [&](int part) {
          const int64_t panels = layer.weights().panels();
          layer.TransposedProduct(FirstOfPart(part, panels), FirstOfPart(part + 1, panels),
                                  backward_[l + 1], image);
        });
        image.Scale(layer_scale_, 0, image.strips());
        image.ClearPadding();
      }
      TakeSlope(forward_[l], slopes_[l]);
    }
  }

  // F xi' (or F, where xi goes backward): what the gradient has on its right side.
  void TakeSlope(const StripMatrix& forward, StripMatrix& slope) const {
    if (!outputs_go_backward()) {
      std::copy(forward.strip(0), forward.strip(forward.strips()), slope.strip(0));
      return;
    }
    for (int64_t s = 0; s < forward.strips(); ++s) {
      const double* const rows = forward.strip(s);
      double* const sums = slope.strip(s);
      for (int64_t k = 0; k < inner_columns(); ++k) {
        for (int64_t i = 0; i < kTileRows; ++i) {
          double sum = 0;
          for (int64_t c = 0; c < forward.cols(); ++c) {
            sum += rows[c * kTileRows + i] * residual_(k, c);
          }
          sums[k * kTileRows + i] = sum;
        }
      }
    }
  }

  void Evaluate() {
    if (is_evaluated_) {
      return;
    }
    for (size_t l = 0; l < layers_.size(); ++l) {
      PassForward(l, 2.0 * static_cast<double>(targets_.cols()), [&](int64_t first, int64_t last) {
        layers_[l].AddProduct(first, last, forward_[l], forward_[l + 1]);
      });
    }
    is_evaluated_ = true;
    ReadResidual();
  }

  void ReadResidual() {
    for (int64_t c = 0; c < residual_.cols(); ++c) {
      for (int64_t i = 0; i < residual_.rows(); ++i) {
        residual_(i, c) = forward_.back()(i, c) - targets_(i, c);
      }
    }
    const double squared_norm = residual_.squaredNorm();
    observation_ = {0.5 * squared_norm, std::sqrt(squared_norm)};
  }

  const std::shared_ptr<const DeepLinearNetworkInstance> instance_;
  const LinearMethod method_;
  const double layer_scale_;           // of W_1 .. W_{L-1}
  const double output_scale_;          // of W_L
  const Matrix targets_;               // Y V (d_y x r)
  std::vector<TrainedTiles> layers_;   // W_1 .. W_L
  std::vector<StripMatrix> forward_;   // W_l .. W_1 X V, scaled, l = 0 .. L
  std::vector<StripMatrix> backward_;  // (W_L .. W_{l+1})', scaled, times 1 or xi; l = 1 .. L
  std::vector<StripMatrix> slopes_;    // F_{l-1} xi' or F_{l-1}, l = 1 .. L
  Matrix residual_;                    // xi_t (d_y x r)
  std::vector<Matrix> start_;          // W_1(0) .. W_L(0), once somebody has asked how far they are
  bool at_start_ = true;               // whether W is W(0)
  bool is_evaluated_ = false;          // whether forward_ and residual_ are of the weights
  bool observed_ = false;
  Observation observation_;
};

}  // namespace

std::unique_ptr<Stepper> MakeDenseDeepLinearStepper(
    std::shared_ptr<const DeepLinearNetworkInstance> instance, const OptimizerSpec& optimizer) {
  return std::make_unique<DenseDeepLinearStepper>(std::move(instance), optimizer);
}

}  // namespace polyak::engine
