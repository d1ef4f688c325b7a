#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/base/stop_token.h"
#include "server/engine/linalg/types.h"
#include "server/engine/plans/activation_mask.h"
#include "server/engine/problems/relu_network.h"

namespace polyak::engine {

// A wide ReLU network at its start, without its weights.
struct ReluStart {
  ActivationMask mask;  // 1[z_ri > 0]: m x n
  Matrix counts;        // sum_r 1[z_ri > 0] 1[z_rj > 0] (n x n), exact whole numbers
  Vector outputs;       // f_i = sum_r s_r max(0, z_ri) (n)
};

// Streams over the neurons in blocks, on up to two threads, with the same bits for any number.
//   preactivations: null, or m x n, where Z is kept.
// Memory: m n / 8 bytes and O(n^2 + block (n + d)).
// Cost: m d normals, 2 m n d flops, m n^2 / 128 bit counts.
// Throws base::Stopped when `stops` says so: it is asked every 65,536 neurons.
ReluStart StartReluNetwork(const ReluNetworkInstance& instance, Matrix* preactivations,
                           const base::StopWish& stops = {});

// An activation that lies near its kink.
struct NearEntry {
  double preactivation;  // z_ri at the start
  uint32_t row;
};

// By column i, in ascending order of rows: the entries with above_i < |z_ri| <= up_to_i; nothing if
// there are more than entries_max of them, which is noticed before they take memory.
//   preactivations: Z, or null: then it is computed again from the weights.
// Cost: as StartReluNetwork, or O(m n) where Z is given. Stops likewise.
std::optional<std::vector<std::vector<NearEntry>>> CollectNearEntries(
    const ReluNetworkInstance& instance, const Matrix* preactivations, const Vector& above,
    const Vector& up_to, int64_t entries_max, const base::StopWish& stops = {});

// Z (m x n) at the start.   Cost: m d normals, 2 m n d flops.
Matrix InitialPreactivations(const ReluNetworkInstance& instance);

}  // namespace polyak::engine
