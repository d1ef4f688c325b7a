#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "server/base/bytes.h"
#include "server/engine/linalg/types.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/plans/event_driven.h"
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

  Observation Observe();  // Cost: O(m n)
  void Step();            // Cost: 2 m n^2 flops
  double flipped_share() const;
  Matrix Gram() const;  // H_t (n x n).   Cost: 2 m n^2 flops
  // As EventDrivenNetwork::MotionOf, without the lag.
  NeuronMotion MotionOf(int64_t row) const;

  void Save(base::ByteSink& out) const;
  // Errors: DataLoss.
  absl::Status Load(base::ByteSource& in);

 private:
  void StoreActive(const Matrix& start);
  void Evaluate();

  const std::shared_ptr<const ReluNetworkInstance> instance_;
  const LinearMethod method_;
  const Matrix gram_data_;       // G (n x n)
  const Vector scaled_output_;   // s (m)
  ActivationMask initial_mask_;  // m x n
  Matrix preactivations_;        // Z_t (m x n)
  Matrix memory_;                // M_{t-1} (m x n)
  Matrix sum_;                   // S: of all memories before it (m x n)
  Matrix direction_;             // scratch: the step over eta (m x n)
  Vector residual_;              // xi_t (n)
  bool observed_ = false;
  Observation observation_;
};

}  // namespace polyak::engine
