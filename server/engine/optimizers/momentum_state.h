#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "server/base/bytes.h"
#include "server/engine/linalg/types.h"
#include "server/engine/linalg/vector_bytes.h"

namespace polyak::engine {

// What the methods with momentum keep, and how it is saved.
struct MomentumState {
  // initial_point: w_0 (d).
  MomentumState(double step, double beta, Vector initial_point)
      : step_size(step),
        momentum(beta),
        iterate(std::move(initial_point)),
        memory(Vector::Zero(iterate.size())) {}

  // kind: which method's state it is, a number of the saved form.
  void Save(int64_t kind, base::ByteSink& out) const {
    SaveVector(iterate, out);
    out.WriteInt(kind);
    out.WriteDouble(step_size);
    out.WriteDouble(momentum);
    SaveVector(memory, out);
  }
  // Errors: DataLoss if the bytes are of another method, other parameters or another dimension.
  absl::Status Load(int64_t kind, base::ByteSource& in) {
    LoadVector(in, iterate);
    in.ExpectInt(kind, "the method of a saved state");
    in.ExpectDouble(step_size, "the step size of a saved state");
    in.ExpectDouble(momentum, "the momentum of a saved state");
    LoadVector(in, memory);
    return in.status();
  }

  const double step_size;
  const double momentum;
  Vector iterate;  // w_t (d)
  Vector memory;   // M_{t-1} (d), with M_{-1} = 0
};

}  // namespace polyak::engine
