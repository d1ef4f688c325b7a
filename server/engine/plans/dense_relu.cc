#include "server/engine/plans/dense_relu.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/engine/plans/common_bits.h"
#include "server/engine/plans/dense_state.h"
#include "server/engine/plans/trained_tiles.h"

namespace polyak::engine {
namespace {

// Strips of neurons that pass at a time: what belongs to them stays in the second cache.
constexpr int64_t kBlockStrips = 12;

class DenseReluStepper : public Stepper {
 public:
  DenseReluStepper(std::shared_ptr<const ReluNetworkInstance> instance,
                   const OptimizerSpec& optimizer, const base::StopWish& stops)
      : instance_(std::move(instance)),
        method_(LinearForm(optimizer)),
        examples_(instance_->examples()),
        features_(Matrix(instance_->features.transpose())),
        outputs_(OutputWeights(*instance_) / std::sqrt(static_cast<double>(instance_->width))),
        activations_(instance_->width, examples_),
        initial_(static_cast<size_t>(activations_.strips() * examples_)),
        residual_(examples_) {
    layers_.emplace_back(instance_->width, instance_->input_dimension(),
                         StateVectors(optimizer) > 1);
    TiledMatrix& weights = layers_.front().weights();
    Matrix block;
    for (int64_t first = 0; first < instance_->width; first += kBlockStrips * kTileRows) {
      base::ThrowIfStopped(stops);
      block.resize(std::min(kBlockStrips * kTileRows, instance_->width - first), weights.cols());
      FillInitialHiddenWeights(*instance_, first, block);
      for (int64_t j = 0; j < block.cols(); ++j) {
        for (int64_t r = 0; r < block.rows(); ++r) {
          weights(first + r, j) = block(r, j);
        }
      }
    }
    for (int part = 0; part < kStepParts; ++part) {
      scratches_.emplace_back(examples_);
    }
    Evaluate();
    for (int64_t s = 0; s < activations_.strips(); ++s) {
      for (int64_t i = 0; i < examples_; ++i) {
        initial_[PlaceOf(s, i)] = ActiveOf(s, i);
      }
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
    // Each block needs the residual of before the step alone, which is replaced after the last one.
    ForEachBlock([this](int64_t first, int64_t last, Scratch& scratch) {
      TakeSlopes(first, last, scratch.slopes);
      activations_.SetZero(first, last);
      layers_.front().MoveAndAddProduct(first, last, method_, scratch.slopes.strip(0), features_,
                                        features_, activations_);
    });
  }

  double flipped_share() const override {
    if (!observed_) {
      return 0;
    }
    int64_t flipped = 0;
    for (int64_t s = 0; s < activations_.strips(); ++s) {
      for (int64_t i = 0; i < examples_; ++i) {
        flipped += std::popcount(static_cast<unsigned>(ActiveOf(s, i) ^ initial_[PlaceOf(s, i)]));
      }
    }
    return static_cast<double>(flipped) /
           (static_cast<double>(instance_->width) * static_cast<double>(examples_));
  }

  Diagnostics Diagnose() override {
    constexpr int64_t kStripsOfWord = 64 / kTileRows;
    const int64_t words = (activations_.strips() + kStripsOfWord - 1) / kStripsOfWord;
    std::vector<uint64_t> active(static_cast<size_t>(examples_ * words));  // by example
    for (int64_t s = 0; s < activations_.strips(); ++s) {
      for (int64_t i = 0; i < examples_; ++i) {
        active[static_cast<size_t>(i * words + s / kStripsOfWord)] |=
            uint64_t{ActiveOf(s, i)} << (s % kStripsOfWord * kTileRows);
      }
    }
    const Matrix inner = instance_->features * instance_->features.transpose();
    Diagnostics diagnostics;
    DescribeGram(inner.cwiseProduct(CommonActivations(active, examples_, words)) /
                     static_cast<double>(instance_->width),
                 diagnostics);
    diagnostics.flipped_share = flipped_share();
    diagnostics.distance_from_start = DistanceFromStart();
    return diagnostics;
  }

  void WriteIterate(base::ByteSink& out) const override { layers_.front().weights().Write(out); }
  void Save(base::ByteSink& out) const override {
    SaveDense(layers_, method_, out);
    SaveObservation(observed_, observed_ ? observation_ : Observation{}, out);
  }
  absl::Status Load(base::ByteSource& in) override {
    at_start_ = false;
    POLYAK_RETURN_IF_ERROR(LoadDense(in, method_, layers_));
    const SavedObservation saved = ReadObservation(in);
    POLYAK_RETURN_IF_ERROR(in.status());
    observed_ = saved.observed;
    is_evaluated_ = false;
    Evaluate();
    return CheckSameObservation(observed_ ? observation_ : Observation{}, saved.observation);
  }

 private:
  // What a part of the pass works in.
  struct Scratch {
    explicit Scratch(int64_t examples)
        : slopes(kBlockStrips * kTileRows, examples),
          outputs(static_cast<size_t>(examples * kTileRows)) {}
    StripMatrix slopes;           // C of a block
    std::vector<double> outputs;  // by example: eight sums, by lane over the blocks of the part
  };

  size_t PlaceOf(int64_t strip, int64_t example) const {
    return static_cast<size_t>(strip * examples_ + example);
  }
  // 1[z_ri > 0] of the eight rows of a strip; 0 beyond the last.
  uint8_t ActiveOf(int64_t strip, int64_t example) const {
    const double* const z = activations_.strip(strip) + example * kTileRows;
    unsigned bits = 0;
    for (int k = 0; k < kTileRows; ++k) {
      bits |= static_cast<unsigned>(z[k] > 0) << k;
    }
    return static_cast<uint8_t>(bits);
  }

  // |W_t - W_0|. The start is kept from the first time on; drawn anew only by a run that was
  // loaded.
  double DistanceFromStart() {
    const TiledMatrix& weights = layers_.front().weights();
    if (start_.size() == 0) {
      if (at_start_) {
        start_ = weights.ToMatrix();
      } else {
        start_.resize(weights.rows(), weights.cols());
        FillInitialHiddenWeights(*instance_, 0, start_);
      }
    }
    double squares = 0;
    for (int64_t j = 0; j < weights.cols(); ++j) {
      for (int64_t r = 0; r < weights.rows(); ++r) {
        const double moved = weights(r, j) - start_(r, j);
        squares += moved * moved;
      }
    }
    return std::sqrt(squares);
  }

  // Z = W X' and what follows from it, where that is not known yet.
  void Evaluate() {
    if (!is_evaluated_) {
      ForEachBlock([this](int64_t first, int64_t last, Scratch& /*scratch*/) {
        activations_.SetZero(first, last);
        layers_.front().AddProduct(first, last, features_, activations_);
      });
    }
  }

  // Calls work(first, last, scratch) for the strips of all blocks, each of which sets its Z, and
  // sets the residual from Z.
  template <typename Work>
  void ForEachBlock(const Work& work) {
    const int64_t strips = activations_.strips();
    const int64_t blocks = (strips + kBlockStrips - 1) / kBlockStrips;
    const double flops = 4.0 * static_cast<double>(instance_->width * examples_) *
                         static_cast<double>(instance_->input_dimension());
    ForEachStepPart(flops, [&](int part) {
      Scratch& scratch = scratches_[static_cast<size_t>(part)];
      std::fill(scratch.outputs.begin(), scratch.outputs.end(), 0.0);
      for (int64_t b = FirstOfPart(part, blocks); b < FirstOfPart(part + 1, blocks); ++b) {
        const int64_t first = b * kBlockStrips;
        const int64_t last = std::min(first + kBlockStrips, strips);
        work(first, last, scratch);
        AddOutputs(first, last, scratch.outputs);
      }
    });
    for (int64_t i = 0; i < examples_; ++i) {
      double output = 0;
      for (const Scratch& scratch : scratches_) {
        for (int64_t k = 0; k < kTileRows; ++k) {
          output += scratch.outputs[static_cast<size_t>(i * kTileRows + k)];
        }
      }
      residual_(i) = output - instance_->targets(i);
    }
    const double squared_norm = residual_.squaredNorm();
    observation_ = {0.5 * squared_norm, std::sqrt(squared_norm)};
    is_evaluated_ = true;
  }

  // f_i = sum_r a_r / sqrt(m) max(0, z_ri), by lane.
  void AddOutputs(int64_t first, int64_t last, std::vector<double>& sums) const {
    const TileKernels& kernels = WidestTileKernels();
    for (int64_t s = first; s < last; ++s) {
      kernels.add_outputs(examples_, outputs_.strip(s), activations_.strip(s), sums.data());
    }
  }

  // C_ri = a_r / sqrt(m) 1[z_ri > 0] xi_i
  void TakeSlopes(int64_t first, int64_t last, StripMatrix& slopes) const {
    const TileKernels& kernels = WidestTileKernels();
    for (int64_t s = first; s < last; ++s) {
      kernels.take_slopes(examples_, outputs_.strip(s), activations_.strip(s), residual_.data(),
                          slopes.strip(s - first));
    }
  }

  const std::shared_ptr<const ReluNetworkInstance> instance_;
  const LinearMethod method_;
  const int64_t examples_;
  const StripMatrix features_;        // X' (d x n)
  const StripMatrix outputs_;         // a / sqrt(m) (m x 1)
  std::vector<TrainedTiles> layers_;  // W, the only one
  StripMatrix activations_;           // Z_t (m x n)
  std::vector<uint8_t> initial_;      // 1[z_ri(0) > 0], a bit a row of each strip and example
  std::vector<Scratch> scratches_;    // of the parts
  Vector residual_;                   // xi_t (n)
  Matrix start_;                      // W_0 (m x d), once somebody has asked how far it is
  bool at_start_ = true;              // whether W is W_0
  bool is_evaluated_ = false;         // whether Z and what follows from it are of W
  bool observed_ = false;
  Observation observation_;
};

}  // namespace

std::unique_ptr<Stepper> MakeDenseReluStepper(std::shared_ptr<const ReluNetworkInstance> instance,
                                              const OptimizerSpec& optimizer,
                                              const base::StopWish& stops) {
  return std::make_unique<DenseReluStepper>(std::move(instance), optimizer, stops);
}

}  // namespace polyak::engine
