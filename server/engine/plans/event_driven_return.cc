#include <algorithm>
#include <cmath>

#include "server/engine/plans/event_driven.h"
#include "server/engine/plans/gram_coordinates.h"
#include "server/engine/plans/relu_start.h"

// The way of an event-driven network through Gram coordinates and back (docs/reduced-plans.md,
// section 3).

namespace polyak::engine {

void EventDrivenNetwork::Follow(const Vector& residual) {
  residual_ = residual;
  MoveShared();
}

// Its motion up to here is `sum` and `memory`, over s_r; from here on it is that of the others.
void EventDrivenNetwork::AddRecord(int64_t row, int64_t column, double sum, double memory,
                                   bool active) {
  Flipped& record = RecordOf(static_cast<uint32_t>(row), static_cast<int32_t>(column));
  record.sum = sum;
  record.excess = memory - (active ? memory_(column) : 0.0);
  record.memory_sum = memory_sum_(column);
  record.memory_sum_rest = memory_sum_rest_(column);
  record.iteration = iteration_;
}

// Activations that never flipped have the shared motion, to rounding; all others get a record.
// Queues and odometers need nothing: what is not queued can't have come to its kink, and what is
// due is looked at by the next Observe.
void EventDrivenNetwork::TakeOver(const GramCoordinates& other) {
  const int64_t width = instance_->width;
  const Eigen::Index examples = residual_.size();
  const Matrix start = InitialPreactivations(*instance_);
  records_.clear();
  records_.reserve(static_cast<size_t>(other.ever_flipped()));
  last_record_.clear();
  std::fill(has_record_.begin(), has_record_.end(), false);
  flipped_ = 0;
  base_.setZero();
  sums_.setZero();
  lag_.setZero();
  active_.setZero();
  constexpr int64_t kRows = 256;   // at a time: what is made of them stays near
  Matrix active(kRows, examples);  // b
  Matrix sums(kRows, examples);    // s_r S
  Matrix lags(kRows, examples);    // s_r (b p - M)
  for (int64_t first = 0; first < width; first += kRows) {
    const int64_t rows = std::min(kRows, width - first);
    for (int64_t k = 0; k < rows; ++k) {
      const int64_t row = first + k;
      const double weight = scale_ * OutputWeight(*instance_, row);
      const NeuronMotion motion = other.MotionOf(row);
      for (Eigen::Index j = 0; j < examples; ++j) {
        const bool is_active = other.Preactivation(row, j) > 0;
        if (is_active != mask_.Get(row, j)) {
          mask_.Flip(row, j);
        }
        active(k, j) = is_active ? 1 : 0;
        base_(j) += is_active ? weight * start(row, j) : 0.0;
        const double shared = is_active ? memory_(j) : 0.0;
        const bool has_flipped = other.EverFlipped(row, j);
        sums(k, j) = weight * motion.sum(j);
        lags(k, j) = has_flipped ? weight * (weight * shared - motion.memory(j)) : 0.0;
        if (has_flipped) {
          AddRecord(row, j, motion.sum(j) / weight, motion.memory(j) / weight, is_active);
          const bool is_changed = is_active != (start(row, j) > 0);
          records_.back().is_changed = is_changed;
          flipped_ += is_changed ? 1 : 0;
        }
      }
    }
    active_.noalias() += active.topRows(rows).transpose() * active.topRows(rows);
    sums_.noalias() += active.topRows(rows).transpose() * sums.topRows(rows);
    lag_.noalias() += active.topRows(rows).transpose() * lags.topRows(rows);
  }
}

}  // namespace polyak::engine
