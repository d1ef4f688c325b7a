#include "server/engine/plans/gram_coordinates.h"

#include <cmath>
#include <utility>

#include "server/base/status_macros.h"
#include "server/engine/plans/relu_method.h"
#include "server/engine/plans/relu_start.h"
#include "server/engine/plans/saved_plan.h"

namespace polyak::engine {
namespace {

Vector ScaledOutput(const ReluNetworkInstance& instance) {
  return OutputWeights(instance) / std::sqrt(static_cast<double>(instance.width));
}

}  // namespace

GramCoordinates::GramCoordinates(std::shared_ptr<const ReluNetworkInstance> instance,
                                 const LinearMethod& method)
    : instance_(std::move(instance)),
      method_(method),
      gram_data_(instance_->features * instance_->features.transpose()),
      scaled_output_(ScaledOutput(*instance_)),
      initial_mask_(instance_->width, instance_->examples()),
      preactivations_(InitialPreactivations(*instance_)),
      memory_(Matrix::Zero(instance_->width, instance_->examples())),
      sum_(memory_),
      direction_(memory_),
      residual_(instance_->examples()) {
  StoreActive(preactivations_);
}

GramCoordinates::GramCoordinates(std::shared_ptr<const ReluNetworkInstance> instance,
                                 const LinearMethod& method, const EventDrivenNetwork& events)
    : GramCoordinates(std::move(instance), method) {
  const double carry = MemoryCarry(method_);
  for (Eigen::Index r = 0; r < preactivations_.rows(); ++r) {
    const NeuronMotion motion = events.MotionOf(r);
    sum_.row(r) = motion.sum.transpose();
    memory_.row(r) = motion.memory.transpose();
    direction_.row(r) = (motion.sum + carry * motion.memory).transpose();
  }
  preactivations_.noalias() -= method_.step_size * (direction_ * gram_data_);
}

void GramCoordinates::StoreActive(const Matrix& start) {
  for (Eigen::Index r = 0; r < start.rows(); ++r) {
    for (Eigen::Index i = 0; i < start.cols(); ++i) {
      if (start(r, i) > 0) {
        initial_mask_.Flip(r, i);
      }
    }
  }
}

void GramCoordinates::Evaluate() {
  for (Eigen::Index i = 0; i < residual_.size(); ++i) {
    double output = 0;
    const double* const z = preactivations_.col(i).data();
    for (Eigen::Index r = 0; r < preactivations_.rows(); ++r) {
      // Asked this way round, NaN is no dead neuron.
      output += z[r] <= 0 ? 0.0 : scaled_output_(r) * z[r];
    }
    residual_(i) = output - instance_->targets(i);
  }
  const double squared_norm = residual_.squaredNorm();
  observation_ = {0.5 * squared_norm, std::sqrt(squared_norm)};
}

Observation GramCoordinates::Observe() {
  observed_ = true;
  Evaluate();
  return observation_;
}

void GramCoordinates::Step() {
  for (Eigen::Index i = 0; i < residual_.size(); ++i) {
    const double xi = residual_(i);
    const double* const z = preactivations_.col(i).data();
    double* const memory = memory_.col(i).data();
    double* const sum = sum_.col(i).data();
    double* const direction = direction_.col(i).data();
    for (Eigen::Index r = 0; r < preactivations_.rows(); ++r) {
      const double gradient = z[r] > 0 ? scaled_output_(r) * xi : 0.0;
      memory[r] = method_.momentum * memory[r] + gradient;
      sum[r] += memory[r];
      direction[r] = method_.gradient_weight * gradient + method_.memory_weight * memory[r];
    }
  }
  preactivations_.noalias() -= method_.step_size * (direction_ * gram_data_);
}

double GramCoordinates::flipped_share() const {
  int64_t flipped = 0;
  for (Eigen::Index i = 0; i < preactivations_.cols(); ++i) {
    for (Eigen::Index r = 0; r < preactivations_.rows(); ++r) {
      flipped += (preactivations_(r, i) > 0) != initial_mask_.Get(r, i);
    }
  }
  return static_cast<double>(flipped) / static_cast<double>(preactivations_.size());
}

Matrix GramCoordinates::Gram() const {
  const Matrix active = (preactivations_.array() > 0).cast<double>();
  return gram_data_.cwiseProduct(active.transpose() * active) /
         static_cast<double>(instance_->width);
}

NeuronMotion GramCoordinates::MotionOf(int64_t row) const {
  return {sum_.row(row).transpose(), memory_.row(row).transpose(), Vector()};
}

void GramCoordinates::Save(base::ByteSink& out) const {
  for (const Matrix* matrix : {&preactivations_, &memory_, &sum_}) {
    out.WriteDoubles({matrix->data(), static_cast<size_t>(matrix->size())});
  }
  SaveObservation(observed_, observation_, out);
}

absl::Status GramCoordinates::Load(base::ByteSource& in) {
  for (Matrix* matrix : {&preactivations_, &memory_, &sum_}) {
    in.ReadDoubles({matrix->data(), static_cast<size_t>(matrix->size())});
  }
  const SavedObservation saved = ReadObservation(in);
  POLYAK_RETURN_IF_ERROR(in.status());
  observed_ = saved.observed;
  if (observed_) {
    Evaluate();
  }
  return CheckSameObservation(observation_, saved.observation);
}

}  // namespace polyak::engine
