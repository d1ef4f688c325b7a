#include "server/engine/plans/invariant_subspace.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/vector_bytes.h"
#include "server/engine/plans/dense.h"
#include "server/engine/plans/saved_plan.h"
#include "server/engine/plans/trained_tiles.h"
#include "server/engine/problems/deep_linear_start.h"

namespace polyak::engine {
namespace {

constexpr int64_t kInvariantSubspaceState = 2;    // of the reduced plans, in a saved state
constexpr double kRoundingOrthogonality = 1e-13;  // of given weights, relative to m

using NetworkPointer = std::shared_ptr<const DeepLinearNetworkInstance>;

// M and T of the start.
RelativeStart StartOf(const DeepLinearNetworkInstance& instance) {
  return instance.initial_weights == nullptr ? DrawRelativeStart(instance)
                                             : MakeLiteralStart(instance).relative;
}

// With K_l = Q_l' W_l Q_{l-1} / sqrt(m) (Q_0 = U, Q_L = I) the network is
//   N = sqrt(m / d_y) K_L ... K_1 S,   K_1(0) = [I; 0],  K_l(0) = I_k,  K_L(0) = [M' T'],
// and an update of W_l by D is one of K_l by Q_l' D Q_{l-1} / sqrt(m). No power of m beyond
// sqrt(m) is ever formed.
//
// The chain is computed from the side with fewer columns: on r columns from S forward, or, where
// d_y < r, on d_y columns from I through the transposed network N' = S K_1' ... K_L'. Both are
//   R = sqrt(m / d_y) diag(left) J_L ... J_1 diag(right) - target,
// with J_1 (k x c), J_l (k x k), J_L (e x k), c = min(r, d_y), e the other of the two.
class InvariantSubspaceStepper : public Stepper {
 public:
  InvariantSubspaceStepper(NetworkPointer instance, const LinearMethod& method)
      : instance_(std::move(instance)),
        method_(method),
        depth_(instance_->depth),
        root_width_(std::sqrt(static_cast<double>(instance_->width))),
        root_outputs_(std::sqrt(static_cast<double>(instance_->output_dimension()))) {
    const RelativeStart start = StartOf(*instance_);
    const Eigen::Index rank = start.position.rows();
    const Eigen::Index outputs = start.position.cols();
    subspace_ = rank + start.complement.rows();
    transposed_ = outputs < rank;
    const Matrix inputs = Matrix::Identity(subspace_, rank);  // K_1(0)
    Matrix last(subspace_, outputs);                          // K_L(0)'
    last << start.position, start.complement;
    first_start_ = transposed_ ? last : inputs;
    last_start_ = (transposed_ ? inputs : last).transpose();
    const Vector ones = Vector::Ones(outputs);
    left_ = transposed_ ? instance_->singular_values : ones;
    right_ = transposed_ ? ones : instance_->singular_values;
    const Matrix targets = instance_->targets.transpose() * instance_->right;  // Y V (d_y x r)
    target_ = transposed_ ? Matrix(targets.transpose()) : targets;

    method_.step_size /= root_width_;  // of K, from one of W
    change_ = memory_ = gradient_ = Vector::Zero(subspace_ * (rank + outputs));
    for (int l = 2; l < depth_; ++l) {
      hidden_.emplace_back(subspace_, subspace_, true);
    }
    for (int l = 1; l < depth_; ++l) {
      images_.emplace_back(subspace_, columns());
    }
    for (int k = 0; k < 2; ++k) {
      errors_.emplace_back(subspace_, columns());
    }
    last_error_ = residual_ = Matrix::Zero(target_.rows(), columns());
    first_ = first_start_;
    last_ = last_start_;
  }

  Observation Observe() override {
    observed_ = true;
    first_ = first_start_ + First(change_);
    last_ = last_start_ + Last(change_);
    end_.noalias() = first_ * right_.asDiagonal();
    images_[0].Assign(end_);
    for (size_t l = 0; l < hidden_.size(); ++l) {
      images_[l + 1].Assign(images_[l]);
      hidden_[l].AddProduct(0, images_[l].strips(), images_[l], images_[l + 1]);
      images_[l + 1].ClearPadding();  // infinity times 0 is NaN, which the next layer would take up
    }
    images_.back().CopyTo(last_image_);
    residual_.noalias() = last_ * last_image_;
    residual_ = (root_width_ / root_outputs_) * (left_.asDiagonal() * residual_) - target_;
    const double squared_norm = residual_.squaredNorm();
    observation_ = {0.5 * squared_norm, std::sqrt(squared_norm)};
    return observation_;
  }

  void Step() override {
    MoveHidden();
    const double step_size = method_.step_size;
    const Eigen::Index size = change_.size();
    const double* const gradient = gradient_.data();
    double* const memory = memory_.data();
    double* const change = change_.data();
    for (Eigen::Index i = 0; i < size; ++i) {
      memory[i] = method_.momentum * memory[i] + gradient[i];
      change[i] -=
          step_size * (method_.gradient_weight * gradient[i] + method_.memory_weight * memory[i]);
    }
  }

  double flipped_share() const override { return std::numeric_limits<double>::quiet_NaN(); }

  // With P_l = left J_L ... J_{l+1} (e x k) and I_{l-1} = J_{l-1} ... J_1 right (k x c), a change D
  // of W_l changes the outputs by P_l (Q_l' D Q_{l-1}) I_{l-1} / sqrt(d_y), and all derivatives lie
  // in the spans:
  //   H = sum_l (P_l P_l') (x) (I_{l-1}' I_{l-1}) / d_y,  |W_t - W_0| = sqrt(m) |K_t - K_0|.
  Diagnostics Diagnose() override {
    const Eigen::Index order = target_.size();
    Diagnostics diagnostics;
    double squares = change_.squaredNorm();
    for (const TrainedTiles& layer : hidden_) {
      squares += layer.weights().ToMatrix().squaredNorm();
    }
    diagnostics.distance_from_start = root_width_ * std::sqrt(squares);
    if (order > kGramOrderMax) {
      return diagnostics;
    }
    Matrix gram = Matrix::Zero(order, order);
    const auto add = [&gram](const Matrix& backward, const Matrix& image) {
      AddKroneckerProduct(backward * backward.transpose(), image.transpose() * image, gram);
    };
    add(left_.asDiagonal(), last_image_);
    Matrix backward = left_.asDiagonal() * last_;
    for (size_t l = hidden_.size(); l-- > 0;) {
      images_[l].CopyTo(end_);
      add(backward, end_);
      backward += (backward * hidden_[l].weights().ToMatrix()).eval();
    }
    add(backward, right_.asDiagonal());
    DescribeGram(gram / static_cast<double>(instance_->output_dimension()), diagnostics);
    return diagnostics;
  }

  // W_l(0) + sqrt(m) Q_l (K_l - K_l(0)) Q_{l-1}'. The bases of one layer at a time: the part of
  // Q_{L-1} that is beside the forward image goes back to the first layer, and then comes along.
  void WriteIterate(base::ByteSink& out) const override {
    const LiteralStart start = MakeLiteralStart(*instance_);
    Matrix basis(instance_->width, subspace_);
    basis << start.forward, start.complement;
    for (int l = depth_ - 1; l >= 2; --l) {
      basis = (start.weights[l - 1].transpose() * basis / root_width_).eval();
    }
    WriteLayer(start.weights[0] + root_width_ * (basis * ChangeOf(1) * instance_->left.transpose()),
               out);
    for (int l = 2; l < depth_; ++l) {
      const Matrix next = start.weights[l - 1] * basis / root_width_;
      WriteLayer(start.weights[l - 1] + root_width_ * (next * ChangeOf(l) * basis.transpose()),
                 out);
      basis = next;
    }
    WriteLayer(start.weights.back() + root_width_ * (ChangeOf(depth_) * basis.transpose()), out);
  }

  void Save(base::ByteSink& out) const override {
    SaveReducedHead(kInvariantSubspaceState, method_, out);
    SaveVector(change_, out);
    SaveVector(memory_, out);
    for (const TrainedTiles& layer : hidden_) {
      layer.weights().Write(out);
      layer.memory()->Write(out);
    }
    SaveObservation(observed_, observation_, out);
  }

  absl::Status Load(base::ByteSource& in) override {
    ExpectReducedHead(kInvariantSubspaceState, method_, in);
    LoadVector(in, change_);
    LoadVector(in, memory_);
    for (TrainedTiles& layer : hidden_) {
      layer.weights().Read(in);
      layer.memory()->Read(in);
    }
    const SavedObservation saved = ReadObservation(in);
    POLYAK_RETURN_IF_ERROR(in.status());
    observed_ = saved.observed;
    if (observed_) {
      Observe();
    }
    return CheckSameObservation(observation_, saved.observation);
  }

 private:
  using Layer = Eigen::Map<Matrix>;
  using ConstLayer = Eigen::Map<const Matrix>;

  Eigen::Index columns() const { return right_.size(); }  // c

  // J_1 and J_L of a vector of both.
  ConstLayer First(const Vector& ends) const { return {ends.data(), subspace_, columns()}; }
  ConstLayer Last(const Vector& ends) const {
    return {ends.data() + subspace_ * columns(), target_.rows(), subspace_};
  }

  // dL/dW_l in the coordinates of J_l: (left J_L ... J_{l+1})' R (J_{l-1} ... J_1 right)' /
  // sqrt(d_y), since sqrt(m)^{L-1} of the weights cancels the scale of the outputs. Moves the
  // hidden layers, once each is not needed any more, and leaves the gradient of both ends.
  void MoveHidden() {
    last_error_ = (1 / root_outputs_) * (left_.asDiagonal() * residual_);
    Layer(gradient_.data() + subspace_ * columns(), target_.rows(), subspace_).noalias() =
        last_error_ * last_image_.transpose();
    end_.noalias() = last_.transpose() * last_error_;
    errors_[0].Assign(end_);
    StripMatrix* error = &errors_[0];
    StripMatrix* before = &errors_[1];
    for (size_t l = hidden_.size(); l-- > 0;) {
      TrainedTiles& layer = hidden_[l];
      layer.TransposedProduct(0, layer.weights().panels(), *error, *before);
      before->Add(*error);
      before->ClearPadding();
      layer.Move(0, error->strips(), method_, error->strip(0), images_[l]);
      std::swap(error, before);
    }
    error->CopyTo(end_);
    Layer(gradient_.data(), subspace_, columns()).noalias() = end_ * right_.asDiagonal();
  }

  // K_l - K_l(0)
  Matrix ChangeOf(int l) const {
    const int layer = transposed_ ? depth_ + 1 - l : l;
    const Matrix change = layer == 1        ? Matrix(First(change_))
                          : layer == depth_ ? Matrix(Last(change_))
                                            : hidden_[layer - 2].weights().ToMatrix();
    return transposed_ ? Matrix(change.transpose()) : change;
  }

  static void WriteLayer(const Matrix& layer, base::ByteSink& out) {
    for (const double value : layer.reshaped()) {
      out.WriteDouble(value);
    }
  }

  const NetworkPointer instance_;
  LinearMethod method_;        // of K
  const int depth_;            // L
  const double root_width_;    // sqrt(m)
  const double root_outputs_;  // sqrt(d_y)
  Eigen::Index subspace_ = 0;  // k
  bool transposed_ = false;    // whether J_l is K_{L+1-l}' rather than K_l
  Matrix first_start_;         // J_1(0)
  Matrix last_start_;          // J_L(0)
  Vector left_;                // (e): ones or singular values
  Vector right_;               // (c): the other
  Matrix target_;              // Y V or its transpose (e x c)
  // J_l - J_l(0), and the memories M_{t-1} of W in the same coordinates:
  Vector change_;  // of J_1 and J_L, each column by column
  Vector memory_;
  std::vector<TrainedTiles> hidden_;  // of J_2 .. J_{L-1}
  Vector gradient_;                   // of J_1 and J_L
  Matrix first_;                      // J_1
  Matrix last_;                       // J_L
  std::vector<StripMatrix> images_;   // J_l ... J_1 right (k x c), l = 1 .. L - 1
  Matrix last_image_;                 // the last of them
  Matrix end_;                        // scratch (k x c)
  Matrix residual_;                   // R (e x c)
  Matrix last_error_;                 // its derivative by the outputs
  std::vector<StripMatrix> errors_;   // J_{l+1}' ... J_L' of that (k x c), of two layers
  bool observed_ = false;
  Observation observation_;
};

}  // namespace

std::optional<PlanCost> InvariantSubspaceCost(const ProblemSpec& problem,
                                              const OptimizerSpec& optimizer) {
  const auto* const network = std::get_if<DeepLinearNetworkSpec>(&problem);
  const bool given = network != nullptr && network->initial_weights != nullptr;
  if (network == nullptr ||
      (!given && network->initialization != DeepLinearInitialization::kOrthogonal)) {
    return std::nullopt;
  }
  const DataShape shape = ShapeOf(network->dataset);
  const double rank = std::min(shape.examples, shape.inputs);
  const auto width = static_cast<double>(network->width);
  const double subspace = std::min(width, rank + shape.outputs);
  const double columns = std::min(rank, shape.outputs);
  const double hidden_layers = network->depth - 2;
  constexpr double kTile = kTileRows;
  const double padded = std::ceil(subspace / kTile) * kTile;
  const double parameters = subspace * (rank + shape.outputs + hidden_layers * subspace);
  const DataCost data = EstimateDataCost(*network);
  PlanCost cost;
  cost.setup_operations =
      data.setup_operations + 30 * subspace * shape.outputs * std::min(subspace, shape.outputs);
  cost.operations_per_iteration = (6 * columns + 6) * parameters;
  cost.saved_values = 2 * parameters;
  const double run = sizeof(double) *
                     (2 * hidden_layers * padded * padded + 5 * subspace * (rank + shape.outputs) +
                      (network->depth + 5) * padded * columns + 5 * rank * shape.outputs);
  // The position of the spans that is drawn, or the given weights, a copy of them and their spans.
  const double start = given ? sizeof(double) * (2 * EstimateCost(problem).parameters +
                                                 4 * width * (rank + shape.outputs))
                             : DecompositionBytes(subspace, shape.outputs);
  cost.bytes = data.instance_bytes + std::max(data.setup_bytes, run + start);
  if (given) {
    // They may turn out not to be orthogonal, and then DENSE runs.
    const PlanCost dense = *DenseCost(problem, optimizer);
    cost.setup_operations += dense.setup_operations;
    cost.bytes = std::max(cost.bytes, dense.bytes);
    cost.diagnosed_bytes = dense.diagnosed_bytes;
    cost.saved_values = std::max(cost.saved_values, dense.saved_values);
  }
  return cost;
}

Eligibility InvariantSubspaceEligible(const Experiment& experiment) {
  const auto* const network = std::get_if<NetworkPointer>(&experiment.problem);
  if (network == nullptr) {
    return {false, "the problem is no deep linear network"};
  }
  if (!(*network)->orthogonal_start) {
    return {false, "the weights do not start orthogonal"};
  }
  if (!((*network)->orthogonality_error <= kRoundingOrthogonality)) {
    return {false, absl::StrCat("the given weights are orthogonal to ",
                                (*network)->orthogonality_error, ", not to rounding")};
  }
  const auto rank = static_cast<int64_t>((*network)->singular_values.size());
  const int64_t outputs = (*network)->output_dimension();
  return {true, absl::StrCat("the ", std::min(rank + outputs, (*network)->width),
                             " directions of each layer that the gradients never leave, out of ",
                             (*network)->width)};
}

absl::StatusOr<std::unique_ptr<Stepper>> MakeInvariantSubspaceStepper(
    const Experiment& experiment, const base::StopWish& /*stops*/) {
  const auto* const network = std::get_if<NetworkPointer>(&experiment.problem);
  POLYAK_CHECK(network != nullptr);
  return std::make_unique<InvariantSubspaceStepper>(*network, LinearForm(experiment.optimizer));
}

}  // namespace polyak::engine
