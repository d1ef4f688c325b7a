#include "server/engine/plans/event_driven.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/vector_bytes.h"
#include "server/engine/plans/relu_method.h"
#include "server/engine/plans/saved_plan.h"

namespace polyak::engine {
namespace {

// Z of the start is kept while the queues are filled if it is no larger.
constexpr double kPreactivationBytesMax = 256e6;
// Rounding of the odometer and of the activations themselves: far below what a look resolves, far
// above what they can be off by.
constexpr double kOdometerSlack = 1 + 1e-9;
// The path of the undisturbed network is a guess of how far the real one goes.
constexpr double kHorizonMargin = 1.25;
// Powers of the momentum that are kept: records are seldom older where there are many.
constexpr int64_t kDecaysKept = 4096;

Matrix SymmetricProduct(const Matrix& features) { return features * features.transpose(); }

void SaveMatrix(const Matrix& matrix, base::ByteSink& out) {
  out.WriteDoubles({matrix.data(), static_cast<size_t>(matrix.size())});
}

void LoadMatrix(base::ByteSource& in, Matrix& matrix) {
  in.ReadDoubles({matrix.data(), static_cast<size_t>(matrix.size())});
}

double Power(double base, int64_t exponent) {
  double power = 1;
  double square = base;
  for (int64_t left = exponent; left > 0; left /= 2) {
    power *= left % 2 == 1 ? square : 1.0;
    square *= square;
  }
  return power;
}

// sum + rest += value, sum being their rounded total (Knuth's two-sum).
void AddExactly(double value, double& sum, double& rest) {
  const double total = sum + value;
  const double kept = total - sum;
  rest += (sum - (total - kept)) + (value - kept);
  sum = total;
}

}  // namespace

double QueuedEntriesMax(double width, double examples) {
  constexpr double kAll = 2e7;  // however many there are
  // A neuron moves by about 1 / sqrt(m), and as many activations come near their kinks: more than
  // was seen of a network of the theorem's kind.
  constexpr double kNear = 120;
  return std::min(width * examples, std::max(kAll, kNear * examples * std::sqrt(width)));
}

EventDrivenNetwork::EventDrivenNetwork(std::shared_ptr<const ReluNetworkInstance> instance,
                                       const LinearMethod& method, base::StopWish stops)
    : instance_(std::move(instance)),
      method_(method),
      stops_(std::move(stops)),
      carry_(MemoryCarry(method)),
      scale_(1 / std::sqrt(static_cast<double>(instance_->width))),
      gram_data_(SymmetricProduct(instance_->features)),
      gram_size_(gram_data_.cwiseAbs()),
      mask_(0, instance_->examples()),
      has_record_(static_cast<size_t>(instance_->width)) {
  const int64_t examples = instance_->examples();
  const bool keep =
      static_cast<double>(instance_->width) * static_cast<double>(examples) * sizeof(double) <=
      kPreactivationBytesMax;
  Matrix preactivations(keep ? instance_->width : 0, keep ? examples : 0);
  ReluStart start = StartReluNetwork(*instance_, keep ? &preactivations : nullptr, stops_);
  mask_ = std::move(start.mask);
  active_ = std::move(start.counts);
  base_ = std::move(start.outputs);
  sums_ = Matrix::Zero(examples, examples);
  lag_ = Matrix::Zero(examples, examples);
  residual_ = base_ - instance_->targets;
  memory_ = memory_sum_ = memory_sum_rest_ = size_memory_ = odometer_ = gain_ = weighted_ =
      Vector::Zero(examples);
  row_words_.resize(static_cast<size_t>(mask_.words()));
  for (int64_t k = 0; k < kDecaysKept; ++k) {
    decays_.push_back(Power(method_.momentum, k));
  }
  horizon_ = Vector::Constant(examples, -1);  // an activation of 0 is near, too
  queues_.resize(static_cast<size_t>(examples));
  Vector horizon = PredictHorizon();
  // A guess that is too far costs memory, one that is too near costs a pass later: any will do.
  while (!Extend(horizon, keep ? &preactivations : nullptr)) {
    horizon *= 0.5;
  }
}

// How far the odometers will come if nothing flips: the linear recursion of the residual with the
// Gram matrix of the start.
Vector EventDrivenNetwork::PredictHorizon() const {
  const Matrix gram = Gram();
  constexpr int64_t kIterationsMax = 20'000;
  constexpr double kOperationsMax = 2e9;
  const double iterations = std::min(static_cast<double>(kIterationsMax),
                                     kOperationsMax / static_cast<double>(gram.size()));
  Vector residual = residual_;
  Vector memory = Vector::Zero(residual.size());
  Vector size_memory = memory;
  Vector path = memory;  // the odometer without |G|, which all columns share
  const double end = 1e-9 * residual.norm();
  for (int64_t t = 0; t < static_cast<int64_t>(iterations) && residual.norm() > end; ++t) {
    memory = method_.momentum * memory + residual;
    size_memory = method_.momentum * size_memory + residual.cwiseAbs();
    path += carry_ > 0 ? Vector(residual.cwiseAbs() + carry_ * size_memory) : size_memory;
    residual -=
        method_.step_size * (gram * (carry_ > 0 ? Vector(residual + carry_ * memory) : memory));
    if (!residual.allFinite()) {
      break;
    }
  }
  Vector horizon = kHorizonMargin * method_.step_size * scale_ * (gram_size_ * path);
  // A normal weight vector gives activations of the size of the example, next to all of them within
  // eight times that.
  const Vector sizes = gram_data_.diagonal().cwiseSqrt();
  double near = 0;
  for (Eigen::Index i = 0; i < horizon.size(); ++i) {
    horizon(i) = horizon(i) < 8 * sizes(i) ? horizon(i) : 8 * sizes(i);  // NaN, too
    near += Moves(i) ? std::min(1.0, 0.8 * horizon(i) / sizes(i)) : 0;
  }
  const double allowed = 0.9 * QueuedEntriesMax(static_cast<double>(instance_->width),
                                                static_cast<double>(sizes.size()));
  return std::min(1.0, allowed / (near * static_cast<double>(instance_->width) + 1)) * horizon;
}

bool EventDrivenNetwork::Extend(Vector up_to, const Matrix* preactivations) {
  for (Eigen::Index i = 0; i < up_to.size(); ++i) {
    up_to(i) = Moves(i) ? up_to(i) : horizon_(i);  // a zero row: its activations are 0 for ever
  }
  const double room =
      QueuedEntriesMax(static_cast<double>(instance_->width), static_cast<double>(up_to.size())) -
      static_cast<double>(entries_);
  auto near = CollectNearEntries(*instance_, preactivations, horizon_, up_to,
                                 static_cast<int64_t>(room), stops_);
  if (!near.has_value()) {
    return false;
  }
  for (Eigen::Index i = 0; i < up_to.size(); ++i) {
    std::vector<NearEntry> entries = std::move((*near)[static_cast<size_t>(i)]);
    DueQueue& queue = queues_[static_cast<size_t>(i)];
    queue.Reserve(static_cast<int64_t>(entries.size()));
    for (const NearEntry& entry : entries) {
      queue.Add({std::abs(entry.preactivation), entry.preactivation, entry.row,
                 static_cast<int8_t>(OutputWeight(*instance_, entry.row)), false});
    }
    entries_ += static_cast<int64_t>(entries.size());
  }
  horizon_ = up_to;
  return true;
}

Matrix EventDrivenNetwork::Gram() const {
  return gram_data_.cwiseProduct(active_) / static_cast<double>(instance_->width);
}

double EventDrivenNetwork::flipped_share() const {
  return static_cast<double>(flipped_) /
         (static_cast<double>(instance_->width) * static_cast<double>(instance_->examples()));
}

EventDrivenNetwork::EntryMotion EventDrivenNetwork::MotionOfEntry(const Flipped& record,
                                                                  bool active, double left) const {
  const int32_t j = record.column;
  EntryMotion motion = {
      record.sum + record.excess * (method_.momentum * (1 - left) / (1 - method_.momentum)),
      record.excess * left + (active ? memory_(j) : 0.0)};
  if (active) {
    motion.sum +=
        (memory_sum_(j) - record.memory_sum) + (memory_sum_rest_(j) - record.memory_sum_rest);
  }
  return motion;
}

NeuronMotion EventDrivenNetwork::MotionOf(int64_t row) const {
  const double weight = scale_ * OutputWeight(*instance_, row);
  const Vector none = Vector::Zero(memory_.size());
  NeuronMotion motion = {none, none, none};
  ForEachActive(mask_, row, [&](int64_t j) {
    motion.sum(j) = memory_sum_(j);
    motion.memory(j) = memory_(j);
  });
  for (int32_t k = LastRecord(row); k >= 0;) {
    const Flipped& record = records_[static_cast<size_t>(k)];
    const int32_t j = record.column;
    const bool active = mask_.Get(row, j);
    const double left = Decay(iteration_ - record.iteration);
    const EntryMotion entry = MotionOfEntry(record, active, left);
    motion.sum(j) = entry.sum;
    motion.memory(j) = entry.memory;
    motion.lag(j) = -record.excess * left;
    k = record.previous;
  }
  motion.sum *= weight;
  motion.memory *= weight;
  motion.lag *= weight;
  return motion;
}

double EventDrivenNetwork::Decay(int64_t iterations) const {
  return iterations < kDecaysKept ? decays_[static_cast<size_t>(iterations)]
                                  : Power(method_.momentum, iterations);
}

int32_t EventDrivenNetwork::LastRecord(int64_t row) const {
  return has_record_[static_cast<size_t>(row)] ? last_record_.at(static_cast<uint32_t>(row)) : -1;
}

EventDrivenNetwork::Flipped& EventDrivenNetwork::RecordOf(uint32_t row, int32_t column) {
  const int32_t last = LastRecord(row);
  for (int32_t k = last; k >= 0; k = records_[static_cast<size_t>(k)].previous) {
    if (records_[static_cast<size_t>(k)].column == column) {
      return records_[static_cast<size_t>(k)];
    }
  }
  has_record_[row] = true;
  last_record_[row] = static_cast<int32_t>(records_.size());
  Flipped& record = records_.emplace_back();
  record.row = row;
  record.column = column;
  record.previous = last;
  return record;
}

// A sum over the examples: the shared motion for those that are active and never flipped, their own
// for those that have.
double EventDrivenNetwork::Preactivation(const WatchedActivation& activation, Eigen::Index column) {
  for (size_t word = 0; word < row_words_.size(); ++word) {
    row_words_[word] = mask_.Word(activation.row, static_cast<int64_t>(word));
  }
  double moved = 0;
  for (int32_t k = LastRecord(activation.row); k >= 0;) {
    const Flipped& record = records_[static_cast<size_t>(k)];
    const auto j = static_cast<size_t>(record.column);
    const uint64_t bit = uint64_t{1} << (j % 64);
    const bool active = (row_words_[j / 64] & bit) != 0;
    row_words_[j / 64] &= ~bit;
    const EntryMotion motion = MotionOfEntry(record, active, Decay(iteration_ - record.iteration));
    moved += gram_data_(record.column, column) * (motion.sum + carry_ * motion.memory);
    k = record.previous;
  }
  moved += active_sums_.Sum(row_words_);
  return activation.preactivation - method_.step_size * scale_ * activation.output * moved;
}

void EventDrivenNetwork::Flip(const WatchedActivation& activation, Eigen::Index column,
                              int change) {
  const double weight = scale_ * activation.output;
  const NeuronMotion motion = MotionOf(activation.row);
  base_(column) += change * weight * activation.preactivation;
  sums_.row(column) += (change * weight) * motion.sum.transpose();
  lag_.row(column) += (change * weight) * motion.lag.transpose();
  mask_.Flip(activation.row, column);
  const double share = scale_ * scale_ * change * memory_(column);
  ForEachActive(mask_, activation.row, [&](int64_t j) {
    lag_(j, column) += share;
    active_(j, column) += change;
    if (j != column) {
      active_(column, j) += change;
    }
  });
  if (change < 0) {
    active_(column, column) -= 1;  // it is not among the active ones any more
  }
  ++counts_.flips;
  Flipped& record = RecordOf(activation.row, static_cast<int32_t>(column));
  record.sum = motion.sum(column) / weight;
  record.excess = motion.memory(column) / weight - (change > 0 ? memory_(column) : 0.0);
  record.memory_sum = memory_sum_(column);
  record.memory_sum_rest = memory_sum_rest_(column);
  record.iteration = iteration_;
  record.is_changed = !record.is_changed;
  flipped_ += record.is_changed ? 1 : -1;
}

void EventDrivenNetwork::LookAtColumn(Eigen::Index column) {
  DueQueue& queue = queues_[static_cast<size_t>(column)];
  due_.clear();
  queue.TakeDue(odometer_(column), gain_(column), due_);
  if (due_.empty()) {
    return;
  }
  weighted_ = gram_data_.col(column).cwiseProduct(memory_sum_ + carry_ * memory_);
  active_sums_.Begin(weighted_, due_.size());
  flipping_.clear();
  for (WatchedActivation& activation : due_) {
    const double z = Preactivation(activation, column);
    if ((z > 0) != mask_.Get(activation.row, column)) {
      flipping_.push_back(activation);
    }
    activation.due = odometer_(column) + std::abs(z);
    activation.looked_at = true;
    queue.Add(activation);
  }
  // In an order of their own, whatever the queue's was. None changes where another one stands:
  // they are of different neurons.
  std::sort(flipping_.begin(), flipping_.end(),
            [](const WatchedActivation& a, const WatchedActivation& b) { return a.row < b.row; });
  for (const WatchedActivation& activation : flipping_) {
    Flip(activation, column, mask_.Get(activation.row, column) ? -1 : 1);
  }
  counts_.looks += static_cast<int64_t>(due_.size());
}

bool EventDrivenNetwork::ReachOdometer() {
  bool beyond = false;
  for (Eigen::Index i = 0; i < odometer_.size(); ++i) {
    beyond = beyond || (Moves(i) && odometer_(i) > horizon_(i));
  }
  // Far enough not to come back soon, or, where that is too much, no further than needed.
  return !beyond || Extend((2 * odometer_).cwiseMax(horizon_), nullptr) ||
         Extend((1.01 * odometer_).cwiseMax(horizon_), nullptr);
}

void EventDrivenNetwork::LookAtDue() {
  if (!ReachOdometer()) {
    throw std::bad_alloc();
  }
  for (Eigen::Index i = 0; i < odometer_.size(); ++i) {
    LookAtColumn(i);
  }
}

// f_i = base_i - eta sum_j G_ij (Psi + carry (A diag(p) - R))_ij
void EventDrivenNetwork::ComputeResidual() {
  const double width = static_cast<double>(instance_->width);
  residual_ = base_ - instance_->targets;
  for (Eigen::Index j = 0; j < residual_.size(); ++j) {
    if (carry_ == 0) {
      residual_.array() -= method_.step_size * gram_data_.col(j).array() * sums_.col(j).array();
    } else {
      residual_.array() -=
          method_.step_size * gram_data_.col(j).array() *
          (sums_.col(j).array() +
           carry_ * (active_.col(j).array() * (memory_(j) / width) - lag_.col(j).array()));
    }
  }
}

Diagnostics EventDrivenNetwork::Diagnose() {
  if (diagnosed_.size() == 0 || diagnosed_ != active_) {
    diagnostics_ = Diagnostics();
    DescribeGram(Gram(), diagnostics_);
    diagnosed_ = active_;
  }
  diagnostics_.flipped_share = flipped_share();
  diagnostics_.distance_from_start = DistanceFromStart();
  return diagnostics_;
}

// A row moves by w_r(0) - w_r = eta s_r sum_j (b_rj v_j + e_rj) x_j, with v = q + carry p, which
// all rows share, and e_rj differing from 0 in entries that have flipped alone. So
//   |W_t - W_0|^2 = eta^2 (v' H v + sum_r s_r^2 (2 e_r' G (b_r o v) + e_r' G e_r)),
// where the sum needs few rows, and of each G few columns. The order of sums is that of the
// records, which a saved state keeps.
double EventDrivenNetwork::DistanceFromStart() const {
  const Vector shared = memory_sum_ + memory_sum_rest_ + carry_ * memory_;
  const Matrix weighted = shared.asDiagonal() * gram_data_;  // v_i G_ij
  double extra = 0;
  std::vector<std::pair<int32_t, double>> excess;  // the e_rj of one row
  for (size_t k = 0; k < records_.size(); ++k) {
    const uint32_t row = records_[k].row;
    if (LastRecord(row) != static_cast<int32_t>(k)) {
      continue;  // each row once
    }
    excess.clear();
    for (auto next = static_cast<int32_t>(k); next >= 0;) {
      const Flipped& record = records_[static_cast<size_t>(next)];
      const int32_t j = record.column;
      const bool active = mask_.Get(row, j);
      const EntryMotion entry = MotionOfEntry(record, active, Decay(iteration_ - record.iteration));
      excess.emplace_back(j, entry.sum + carry_ * entry.memory - (active ? shared(j) : 0.0));
      next = record.previous;
    }
    for (const auto& [j, value] : excess) {
      double product = 0;  // 2 G (b_r o v) + G e_r
      ForEachActive(mask_, row, [&, column = j](int64_t i) { product += weighted(i, column); });
      product *= 2;
      for (const auto& [i, other] : excess) {
        product += gram_data_(i, j) * other;
      }
      extra += value * product;
    }
  }
  const double squares = shared.dot(Gram() * shared) + extra * (scale_ * scale_);
  // Rounding can take a sum that cancels below 0; NaN stays.
  return method_.step_size * (squares < 0 ? 0.0 : std::sqrt(squares));
}

Observation EventDrivenNetwork::Observe() {
  if (iteration_ > 0) {
    LookAtDue();
  }
  ComputeResidual();
  observed_ = true;
  Summarize();
  return observation_;
}

void EventDrivenNetwork::Summarize() {
  const double squared_norm = residual_.squaredNorm();
  observation_ = {0.5 * squared_norm, std::sqrt(squared_norm)};
}

void EventDrivenNetwork::Step() {
  const double width = static_cast<double>(instance_->width);
  MoveShared();
  for (Eigen::Index j = 0; j < residual_.size(); ++j) {
    lag_.col(j) *= method_.momentum;
    sums_.col(j) += active_.col(j) * (memory_(j) / width) - lag_.col(j);
  }
}

void EventDrivenNetwork::MoveShared() {
  observed_ = false;
  memory_ = method_.momentum * memory_ + residual_;
  for (Eigen::Index j = 0; j < memory_.size(); ++j) {
    AddExactly(memory_(j), memory_sum_(j), memory_sum_rest_(j));
  }
  size_memory_ = method_.momentum * size_memory_ + residual_.cwiseAbs();
  const double rate = kOdometerSlack * method_.step_size * scale_;
  if (carry_ == 0) {
    gain_.noalias() = rate * (gram_size_ * size_memory_);
  } else {
    gain_.noalias() = rate * (gram_size_ * (residual_.cwiseAbs() + carry_ * size_memory_));
  }
  odometer_ += gain_;
  ++iteration_;
}

void EventDrivenNetwork::Save(base::ByteSink& out) const {
  out.WriteInt(iteration_);
  out.WriteInt(observed_ ? 1 : 0);
  out.WriteDouble(observation_.loss);
  out.WriteDouble(observation_.residual_norm);
  out.WriteInt(counts_.looks);
  out.WriteInt(flipped_);
  for (const Vector* vector :
       {&base_, &memory_, &memory_sum_, &memory_sum_rest_, &size_memory_, &odometer_, &horizon_}) {
    SaveVector(*vector, out);
  }
  for (const Matrix* matrix : {&active_, &sums_, &lag_}) {
    SaveMatrix(*matrix, out);
  }
  out.WriteInt(counts_.flips);
  out.WriteInt(static_cast<int64_t>(records_.size()));
  for (const Flipped& record : records_) {
    out.WriteInt(record.row);
    out.WriteInt(record.column);
    out.WriteInt(record.is_changed ? 1 : 0);
    out.WriteInt(record.iteration);
    out.WriteDouble(record.sum);
    out.WriteDouble(record.excess);
    out.WriteDouble(record.memory_sum);
    out.WriteDouble(record.memory_sum_rest);
  }
  SaveDues(out);
}

// When the entries that were looked at are due, by column and in the order of rows. The others are
// as they were at the start.
void EventDrivenNetwork::SaveDues(base::ByteSink& out) const {
  std::vector<std::pair<uint32_t, double>> dues;
  for (const DueQueue& queue : queues_) {
    dues.clear();
    queue.ForEach([&dues](const WatchedActivation& activation) {
      if (activation.looked_at) {
        dues.emplace_back(activation.row, activation.due);
      }
    });
    std::sort(dues.begin(), dues.end());
    out.WriteInt(static_cast<int64_t>(dues.size()));
    for (const auto& [row, due] : dues) {
      out.WriteInt(row);
      out.WriteDouble(due);
    }
  }
}

absl::Status EventDrivenNetwork::Load(base::ByteSource& in) {
  iteration_ = in.ReadIntWithin(0, kSavedCountMax);
  observed_ = in.ReadIntWithin(0, 1) == 1;
  observation_ = {in.ReadDouble(), in.ReadDouble()};
  counts_.looks = in.ReadIntWithin(0, kSavedCountMax);
  flipped_ = in.ReadIntWithin(0, kSavedCountMax);
  const Observation saved = observation_;
  Vector horizon(horizon_.size());
  for (Vector* vector :
       {&base_, &memory_, &memory_sum_, &memory_sum_rest_, &size_memory_, &odometer_, &horizon}) {
    LoadVector(in, *vector);
  }
  for (Matrix* matrix : {&active_, &sums_, &lag_}) {
    LoadMatrix(in, *matrix);
  }
  POLYAK_RETURN_IF_ERROR(in.status());
  if (!(horizon.array() >= horizon_.array()).all()) {
    return absl::DataLossError("a saved state's queues are shorter than at the start");
  }
  if (horizon != horizon_ && !Extend(horizon, nullptr)) {
    return absl::DataLossError("a saved state's queues are longer than any may be");
  }
  POLYAK_RETURN_IF_ERROR(LoadRecords(in));
  POLYAK_RETURN_IF_ERROR(LoadDues(in));
  if (observed_) {
    ComputeResidual();
    Summarize();
  }
  return CheckSameObservation(observation_, saved);
}

absl::Status EventDrivenNetwork::LoadRecords(base::ByteSource& in) {
  counts_.flips = in.ReadIntWithin(0, kSavedCountMax);
  const int64_t count = in.ReadIntWithin(0, std::numeric_limits<int32_t>::max());
  for (int64_t k = 0; k < count && in.status().ok(); ++k) {
    const auto row = static_cast<uint32_t>(in.ReadIntWithin(0, instance_->width - 1));
    const auto column = static_cast<int32_t>(in.ReadIntWithin(0, instance_->examples() - 1));
    const bool is_changed = in.ReadIntWithin(0, 1) == 1;
    const int64_t iteration = in.ReadIntWithin(0, iteration_);
    if (!in.status().ok()) {
      break;
    }
    Flipped& record = RecordOf(row, column);
    if (static_cast<int64_t>(records_.size()) != k + 1) {
      return absl::DataLossError("a saved state has an activation twice");
    }
    record.is_changed = is_changed;
    record.iteration = iteration;
    record.sum = in.ReadDouble();
    record.excess = in.ReadDouble();
    record.memory_sum = in.ReadDouble();
    record.memory_sum_rest = in.ReadDouble();
    if (is_changed) {
      mask_.Flip(row, column);
    }
  }
  return in.status();
}

absl::Status EventDrivenNetwork::LoadDues(base::ByteSource& in) {
  for (DueQueue& queue : queues_) {
    std::vector<WatchedActivation>& entries = queue.Unordered();
    std::sort(entries.begin(), entries.end(),
              [](const WatchedActivation& a, const WatchedActivation& b) { return a.row < b.row; });
    const int64_t looked_at = in.ReadIntWithin(0, static_cast<int64_t>(entries.size()));
    auto entry = entries.begin();
    for (int64_t k = 0; k < looked_at && in.status().ok(); ++k) {
      const auto row = static_cast<uint32_t>(in.ReadIntWithin(0, instance_->width - 1));
      const double due = in.ReadDouble();
      entry = std::lower_bound(
          entry, entries.end(), row,
          [](const WatchedActivation& a, uint32_t wanted) { return a.row < wanted; });
      if (entry == entries.end() || entry->row != row) {
        return absl::DataLossError(
            absl::StrCat("a saved state has looked at row ", row, ", which is far from its kink"));
      }
      entry->due = due;
      entry->looked_at = true;
    }
  }
  return in.status();
}

}  // namespace polyak::engine
