#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "server/base/bytes.h"
#include "server/engine/optimizers/optimizer.h"
#include "server/engine/problems/problem.h"

namespace polyak::engine {

// The beginning of the state of a plan that keeps no literal iterate: no values of it, which plan
// it is, and the method.
inline void SaveReducedHead(int64_t plan_kind, const LinearMethod& method, base::ByteSink& out) {
  out.WriteInt(0);
  out.WriteInt(plan_kind);
  out.WriteDouble(method.step_size);
  out.WriteDouble(method.momentum);
  out.WriteDouble(method.gradient_weight);
}

// Fails unless a state of this plan and method comes.
inline void ExpectReducedHead(int64_t plan_kind, const LinearMethod& method, base::ByteSource& in) {
  in.ExpectInt(0, "the literal iterate's length in a saved state");
  in.ExpectInt(plan_kind, "the plan of a saved state");
  in.ExpectDouble(method.step_size, "the step size of a saved state");
  in.ExpectDouble(method.momentum, "the momentum of a saved state");
  in.ExpectDouble(method.gradient_weight, "the method of a saved state");
}

// What a saved state may have counted: with room to count on.
inline constexpr int64_t kSavedCountMax = std::numeric_limits<int64_t>::max() / 2;

// One NaN is as good as another: both say that the run left the numbers.
inline bool SameBits(double a, double b) {
  return std::bit_cast<int64_t>(a) == std::bit_cast<int64_t>(b) || (std::isnan(a) && std::isnan(b));
}

inline void SaveObservation(bool observed, const Observation& observation, base::ByteSink& out) {
  out.WriteInt(observed ? 1 : 0);
  out.WriteDouble(observation.loss);
  out.WriteDouble(observation.residual_norm);
}

struct SavedObservation {
  bool observed = false;
  Observation observation;
};
inline SavedObservation ReadObservation(base::ByteSource& in) {
  const bool observed = in.ReadIntWithin(0, 1) == 1;
  return {observed, {in.ReadDouble(), in.ReadDouble()}};
}

// The proof that problem, build and processor compute what they did.
//   Errors: DataLoss if the observation of a saved state is another one here.
inline absl::Status CheckSameObservation(const Observation& here, const Observation& saved) {
  if (SameBits(here.loss, saved.loss) && SameBits(here.residual_norm, saved.residual_norm)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrFormat("the loss of a saved iterate is %.17g here and its residual %.17g; accepted: "
                      "%.17g and %.17g, "
                      "as they were when it was saved",
                      here.loss, here.residual_norm, saved.loss, saved.residual_norm));
}

}  // namespace polyak::engine
