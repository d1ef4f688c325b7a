#include "server/engine/plans/gram_coordinates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "server/base/parallel.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/lane_kernels.h"
#include "server/engine/plans/common_bits.h"
#include "server/engine/plans/relu_method.h"
#include "server/engine/plans/relu_start.h"
#include "server/engine/plans/saved_plan.h"

namespace polyak::engine {

static_assert(kPanelColumns == 32, "a block of neurons is a panel of the kernels");

GramCoordinates::GramCoordinates(std::shared_ptr<const ReluNetworkInstance> instance,
                                 const LinearMethod& method)
    : instance_(std::move(instance)),
      method_(method),
      examples_(instance_->examples()),
      blocks_((instance_->width + kBlock - 1) / kBlock),
      gram_data_(instance_->features * instance_->features.transpose()),
      outputs_(static_cast<size_t>(blocks_ * kBlock)),
      initial_(static_cast<size_t>(blocks_ * examples_)),
      ever_flipped_(initial_.size()),
      preactivations_(static_cast<size_t>(blocks_ * kBlock * examples_)),
      memory_(preactivations_.size()),
      sum_(preactivations_.size()),
      residual_(examples_) {
  const Matrix start = InitialPreactivations(*instance_);
  const double scale = 1 / std::sqrt(static_cast<double>(instance_->width));
  for (int64_t r = 0; r < instance_->width; ++r) {
    outputs_[static_cast<size_t>(r)] = scale * OutputWeight(*instance_, r);
    for (int64_t i = 0; i < examples_; ++i) {
      preactivations_[Index(r, i)] = start(r, i);
    }
  }
  for (int64_t block = 0; block < blocks_; ++block) {
    for (int64_t i = 0; i < examples_; ++i) {
      initial_[static_cast<size_t>(block * examples_ + i)] = ActiveOf(block, i);
    }
  }
  active_ = initial_;
  for (Scratch& scratch : scratches_) {
    scratch.direction.resize(static_cast<size_t>(examples_ * kBlock));
    scratch.products.resize(scratch.direction.size());
    scratch.outputs.resize(scratch.direction.size());
  }
}

GramCoordinates::GramCoordinates(std::shared_ptr<const ReluNetworkInstance> instance,
                                 const LinearMethod& method, const EventDrivenNetwork& events)
    : GramCoordinates(std::move(instance), method) {
  const double carry = MemoryCarry(method_);
  for (int64_t r = 0; r < instance_->width; ++r) {
    const NeuronMotion motion = events.MotionOf(r);
    const Vector moved = gram_data_ * (motion.sum + carry * motion.memory);
    for (int64_t i = 0; i < examples_; ++i) {
      sum_[Index(r, i)] = motion.sum(i);
      memory_[Index(r, i)] = motion.memory(i);
      preactivations_[Index(r, i)] -= method_.step_size * moved(i);
    }
  }
  events.ForEachRecord([this](int64_t row, int64_t column) {
    ever_flipped_[static_cast<size_t>(row / kBlock * examples_ + column)] |= uint32_t{1}
                                                                             << (row % kBlock);
  });
  for (int64_t block = 0; block < blocks_; ++block) {
    NoteFlips(block, scratches_[0]);
  }
  scratches_[0].flips = 0;
}

uint32_t GramCoordinates::ActiveOf(int64_t block, int64_t column) const {
  const double* const z = preactivations_.data() + (block * examples_ + column) * kBlock;
  uint32_t bits = 0;
  for (int64_t k = 0; k < kBlock; ++k) {
    bits |= static_cast<uint32_t>(z[k] > 0) << k;
  }
  return bits;
}

void GramCoordinates::NoteFlips(int64_t block, Scratch& scratch) {
  for (int64_t i = 0; i < examples_; ++i) {
    const auto place = static_cast<size_t>(block * examples_ + i);
    const uint32_t active = ActiveOf(block, i);
    scratch.flips += std::popcount(active ^ active_[place]);
    ever_flipped_[place] |= active ^ initial_[place];
    active_[place] = active;
  }
}

template <typename Work>
void GramCoordinates::ForEachBlock(const Work& work) {
  const auto run = [this, &work](int part) {
    Scratch& scratch = scratches_.at(static_cast<size_t>(part));
    std::fill(scratch.outputs.begin(), scratch.outputs.end(), 0.0);
    for (int64_t block = part * blocks_ / kParts; block < (part + 1) * blocks_ / kParts; ++block) {
      work(block, scratch);
    }
  };
  // A thread of its own takes some ten microseconds to begin.
  constexpr int64_t kOperationsThatPay = 2'000'000;
  if (2 * instance_->width * examples_ * examples_ > kOperationsThatPay &&
      base::PartsThatPay(kParts) == kParts) {
    base::RunParts(kParts, run);
  } else {
    for (int part = 0; part < kParts; ++part) {
      run(part);
    }
  }
  for (int64_t i = 0; i < examples_; ++i) {
    double output = 0;
    for (const Scratch& scratch : scratches_) {
      for (int64_t k = 0; k < kBlock; ++k) {
        output += scratch.outputs[static_cast<size_t>(i * kBlock + k)];
      }
    }
    residual_(i) = output - instance_->targets(i);
  }
  is_evaluated_ = true;
}

// f_i = sum_r s_r max(0, z_ri)
void GramCoordinates::AddOutputs(int64_t block, Scratch& scratch) const {
  const double* const s = outputs_.data() + block * kBlock;
  for (int64_t i = 0; i < examples_; ++i) {
    const double* const z = preactivations_.data() + (block * examples_ + i) * kBlock;
    double* const outputs = scratch.outputs.data() + i * kBlock;
    for (int64_t k = 0; k < kBlock; ++k) {
      // Asked this way round, NaN is no dead neuron.
      outputs[k] += z[k] <= 0 ? 0.0 : s[k] * z[k];
    }
  }
}

void GramCoordinates::MoveBlock(int64_t block, Scratch& scratch) {
  const double* const s = outputs_.data() + block * kBlock;
  for (int64_t i = 0; i < examples_; ++i) {
    const double xi = residual_(i);
    const int64_t begin = (block * examples_ + i) * kBlock;
    const double* const z = preactivations_.data() + begin;
    double* const memory = memory_.data() + begin;
    double* const sum = sum_.data() + begin;
    double* const direction = scratch.direction.data() + i * kBlock;
    for (int64_t k = 0; k < kBlock; ++k) {
      const double gradient = z[k] > 0 ? s[k] * xi : 0.0;
      memory[k] = method_.momentum * memory[k] + gradient;
      sum[k] += memory[k];
      direction[k] = method_.gradient_weight * gradient + method_.memory_weight * memory[k];
    }
  }
  std::fill(scratch.products.begin(), scratch.products.end(), 0.0);
  WidestKernels().add_product(examples_, examples_, {gram_data_.data(), 1, examples_},
                              scratch.direction.data(), scratch.products.data());
  double* const z = preactivations_.data() + block * examples_ * kBlock;
  for (int64_t k = 0; k < examples_ * kBlock; ++k) {
    z[k] -= method_.step_size * scratch.products[static_cast<size_t>(k)];
  }
}

void GramCoordinates::Step() {
  // Each block needs the residual of before the step alone, which is replaced after the last one.
  ForEachBlock([this](int64_t block, Scratch& scratch) {
    MoveBlock(block, scratch);
    AddOutputs(block, scratch);
    NoteFlips(block, scratch);
  });
  for (Scratch& scratch : scratches_) {
    flips_ += std::exchange(scratch.flips, 0);
  }
}

void GramCoordinates::Evaluate() {
  if (!is_evaluated_) {
    ForEachBlock([this](int64_t block, Scratch& scratch) { AddOutputs(block, scratch); });
  }
  const double squared_norm = residual_.squaredNorm();
  observation_ = {0.5 * squared_norm, std::sqrt(squared_norm)};
}

Observation GramCoordinates::Observe() {
  observed_ = true;
  Evaluate();
  return observation_;
}

double GramCoordinates::flipped_share() const {
  int64_t flipped = 0;
  for (size_t place = 0; place < active_.size(); ++place) {
    flipped += std::popcount(active_[place] ^ initial_[place]);
  }
  return static_cast<double>(flipped) /
         (static_cast<double>(instance_->width) * static_cast<double>(examples_));
}

Matrix GramCoordinates::Gram() const {
  static_assert(64 % kBlock == 0);
  const int64_t words = (blocks_ * kBlock + 63) / 64;
  std::vector<uint64_t> active(static_cast<size_t>(examples_ * words));  // by example, a bit a row
  for (int64_t block = 0; block < blocks_; ++block) {
    for (int64_t i = 0; i < examples_; ++i) {
      const uint64_t bits = active_[static_cast<size_t>(block * examples_ + i)];
      active[static_cast<size_t>(i * words + block * kBlock / 64)] |= bits << (block * kBlock % 64);
    }
  }
  return gram_data_.cwiseProduct(CommonActivations(active, examples_, words)) /
         static_cast<double>(instance_->width);
}

// |W_t - W_0|^2 = eta^2 sum_r u_r' G u_r, u_r = (S + carry M)_r.
double GramCoordinates::DistanceFromStart() {
  const double carry = MemoryCarry(method_);
  Scratch& scratch = scratches_[0];
  double squares = 0;
  for (int64_t block = 0; block < blocks_; ++block) {
    const double* const sum = sum_.data() + block * examples_ * kBlock;
    const double* const memory = memory_.data() + block * examples_ * kBlock;
    const auto size = static_cast<size_t>(examples_ * kBlock);
    for (size_t k = 0; k < size; ++k) {
      scratch.direction[k] = sum[k] + carry * memory[k];
    }
    std::fill(scratch.products.begin(), scratch.products.end(), 0.0);
    WidestKernels().add_product(examples_, examples_, {gram_data_.data(), 1, examples_},
                                scratch.direction.data(), scratch.products.data());
    for (size_t k = 0; k < size; ++k) {
      squares += scratch.direction[k] * scratch.products[k];
    }
  }
  // Rounding can take a sum that cancels below 0; NaN stays.
  return method_.step_size * (squares < 0 ? 0.0 : std::sqrt(squares));
}

Diagnostics GramCoordinates::Diagnose() {
  Diagnostics diagnostics;
  DescribeGram(Gram(), diagnostics);
  diagnostics.flipped_share = flipped_share();
  diagnostics.distance_from_start = DistanceFromStart();
  return diagnostics;
}

NeuronMotion GramCoordinates::MotionOf(int64_t row) const {
  NeuronMotion motion = {Vector(examples_), Vector(examples_), Vector()};
  for (int64_t i = 0; i < examples_; ++i) {
    motion.sum(i) = sum_[Index(row, i)];
    motion.memory(i) = memory_[Index(row, i)];
  }
  return motion;
}

int64_t GramCoordinates::ever_flipped() const {
  int64_t count = 0;
  for (const uint32_t bits : ever_flipped_) {
    count += std::popcount(bits);
  }
  return count;
}

double GramCoordinates::ExpectedLooks(const Vector& gain) const {
  double looks = 0;
  for (int64_t i = 0; i < examples_; ++i) {
    if (!(gram_data_(i, i) > 0)) {
      continue;  // a zero row: its activations never move
    }
    for (int64_t r = 0; r < instance_->width; ++r) {
      const double distance = std::abs(Preactivation(r, i));
      looks += distance > gain(i) ? gain(i) / distance : 1.0;
    }
  }
  return looks;
}

void GramCoordinates::Save(base::ByteSink& out) const {
  for (const Blocked* values : {&preactivations_, &memory_, &sum_}) {
    out.WriteDoubles(*values);
  }
  for (const uint32_t bits : ever_flipped_) {
    out.WriteInt(bits);
  }
  out.WriteInt(flips_);
  SaveObservation(observed_, observation_, out);
}

absl::Status GramCoordinates::Load(base::ByteSource& in) {
  for (Blocked* values : {&preactivations_, &memory_, &sum_}) {
    in.ReadDoubles(*values);
  }
  for (uint32_t& bits : ever_flipped_) {
    bits = static_cast<uint32_t>(in.ReadIntWithin(0, std::numeric_limits<uint32_t>::max()));
  }
  flips_ = in.ReadIntWithin(0, std::numeric_limits<int64_t>::max());
  const SavedObservation saved = ReadObservation(in);
  POLYAK_RETURN_IF_ERROR(in.status());
  for (int64_t block = 0; block < blocks_; ++block) {
    for (int64_t i = 0; i < examples_; ++i) {
      active_[static_cast<size_t>(block * examples_ + i)] = ActiveOf(block, i);
    }
  }
  observed_ = saved.observed;
  is_evaluated_ = false;
  if (observed_) {
    Evaluate();
  }
  return CheckSameObservation(observation_, saved.observation);
}

}  // namespace polyak::engine
