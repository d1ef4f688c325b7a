#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "server/base/bytes.h"
#include "server/engine/linalg/types.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/plans/event_driven.h"
#include "server/engine/problems/diagnostics.h"
#include "server/engine/problems/problem.h"
#include "server/engine/problems/relu_network.h"

namespace polyak::engine {

// A wide ReLU network by its activations Z = W X' (m x n): every update of a row of W lies in the
// span of the examples, so C_ri = s_r 1[z_ri > 0] xi_i, M = beta M + C, Z -= eta M G with G = X X'.
// One product m x n x n an iteration in place of two m x n x d. docs/reduced-plans.md, section 3.
class GramCoordinates {
 public:
  // The state of an event-driven run after its Step, at the iterate that comes next.
  // Cost: InitialPreactivations, and O(m n^2).
  GramCoordinates(std::shared_ptr<const ReluNetworkInstance> instance, const LinearMethod& method,
                  const EventDrivenNetwork& events);
  // Storage for Load.
  GramCoordinates(std::shared_ptr<const ReluNetworkInstance> instance, const LinearMethod& method);

  Observation Observe();  // Cost: O(1), but for the first one
  // One pass over the neurons, on up to two threads: what the next Observe tells is summed on the
  // way.   Cost: 2 m n^2 flops, and 40 m n bytes from memory.
  void Step();
  double flipped_share() const;  // Cost: m n / 32 bit counts
  Matrix Gram() const;           // H_t (n x n).   Cost: m n^2 / 128 bit counts
  // Of the last observed iterate.   Cost: that of Gram, 2 m n^2 flops, and DescribeGram of n x n.
  Diagnostics Diagnose();
  // As EventDrivenNetwork::MotionOf, without the lag.
  NeuronMotion MotionOf(int64_t row) const;

  // Of iterate t, or, after a Step, of the next:
  const Vector& residual() const { return residual_; }  // xi (n), once it was observed
  int64_t flips() const { return flips_; }              // activations that changed since the first
  double Preactivation(int64_t row, int64_t column) const {
    return preactivations_[Index(row, column)];
  }
  int64_t ever_flipped() const;  // activations that ever were what they were not at the start
  // Whether (row, column) is one of them.
  bool EverFlipped(int64_t row, int64_t column) const { return Bit(ever_flipped_, row, column); }
  // How often an event-driven run would look at activations in one iteration in which the
  // odometers gain `gain` (n): each when its distance from the kink is used up.   Cost: O(m n)
  double ExpectedLooks(const Vector& gain) const;

  void Save(base::ByteSink& out) const;
  // Errors: DataLoss.
  absl::Status Load(base::ByteSource& in);

 private:
  // A matrix m x n in blocks of 32 neurons, so that a pass has all of a neuron's at once: within a
  // block by examples, 32 values each. Neurons beyond the last are 0.
  using Blocked = std::vector<double>;
  size_t Index(int64_t row, int64_t column) const {
    return static_cast<size_t>(((row / kBlock) * examples_ + column) * kBlock + row % kBlock);
  }
  // A matrix m x n of bits, a number for each block and example.
  using Bits = std::vector<uint32_t>;
  bool Bit(const Bits& bits, int64_t row, int64_t column) const {
    const uint32_t of_block = bits[static_cast<size_t>(row / kBlock * examples_ + column)];
    return ((of_block >> (row % kBlock)) & 1) != 0;
  }
  // What a part of the pass works in.
  struct Scratch {
    std::vector<double> direction;  // n x 32
    std::vector<double> products;   // n x 32
    std::vector<double> outputs;    // n x 32: sums by lane over the blocks of the part
    int64_t flips = 0;
  };
  // 1[z_ri > 0] of one block and example.
  uint32_t ActiveOf(int64_t block, int64_t column) const;
  void NoteFlips(int64_t block, Scratch& scratch);
  void MoveBlock(int64_t block, Scratch& scratch);
  void AddOutputs(int64_t block, Scratch& scratch) const;
  // Calls work(block, scratch) for all blocks, and sets the residual from the outputs.
  template <typename Work>
  void ForEachBlock(const Work& work);
  void Evaluate();
  double DistanceFromStart();

  static constexpr int64_t kBlock = 32;
  static constexpr int kParts = 2;  // always as many, so that sums do not depend on the machine

  const std::shared_ptr<const ReluNetworkInstance> instance_;
  const LinearMethod method_;
  const int64_t examples_;
  const int64_t blocks_;
  const Matrix gram_data_;       // G (n x n)
  std::vector<double> outputs_;  // s (32 a block)
  Bits initial_;                 // 1[z_ri(0) > 0]
  Bits active_;                  // 1[z_ri > 0]
  Bits ever_flipped_;
  Blocked preactivations_;  // Z_t
  Blocked memory_;          // M_{t-1}
  Blocked sum_;             // S: of all memories before it
  std::array<Scratch, kParts> scratches_;
  int64_t flips_ = 0;
  Vector residual_;            // xi_t (n)
  bool is_evaluated_ = false;  // whether residual_ is of Z_t
  bool observed_ = false;
  Observation observation_;
};

}  // namespace polyak::engine
