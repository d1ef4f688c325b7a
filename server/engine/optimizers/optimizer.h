#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "absl/status/status.h"
#include "server/base/bytes.h"
#include "server/engine/linalg/types.h"

namespace polyak::engine {

// M = momentum M + grad;  w -= step_size (gradient_weight grad + memory_weight M), from M_{-1} = 0.
// GD (s, 0, 0, 1), Polyak (s, m, 0, 1), Nesterov (s, m, 1, m).
struct LinearMethod {
  double step_size = 0;
  double momentum = 0;
  double gradient_weight = 0;
  double memory_weight = 1;
};

// Parameters as asked for; unset ones are chosen by theory.
struct GradientDescentSpec {
  std::optional<double> step_size;
};
struct PolyakMomentumSpec {
  std::optional<double> step_size;
  std::optional<double> momentum;
};
struct NesterovMomentumSpec {
  std::optional<double> step_size;
  std::optional<double> momentum;
};
using OptimizerSpec = std::variant<GradientDescentSpec, PolyakMomentumSpec, NesterovMomentumSpec>;

// A method that owns its iterate and its memory. Used by one thread.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // w_t (d): where the gradient is taken, and what is recorded.
  virtual const Vector& iterate() const = 0;
  // t -> t + 1.  gradient: (d), at iterate(). No allocation.
  virtual void Update(const Vector& gradient) = 0;
  virtual std::optional<LinearMethod> linear() const = 0;  // nullopt: DENSE is the only plan
  // The iterate first, as SaveVector writes it, then the memory, to the bit, with the method and
  // its parameters to know them by.
  virtual void Save(base::ByteSink& out) const = 0;
  // What Save wrote, into an optimizer of the same spec and dimension. Allocates nothing.
  // Errors: DataLoss for another method, other parameters, another dimension, or too few bytes;
  // then the optimizer may hold a part of what was read, and must not be used.
  virtual absl::Status Load(base::ByteSource& in) = 0;
};

// spec: every parameter set (POLYAK_CHECKed).  initial_point: w_0 (d).
std::unique_ptr<Optimizer> MakeOptimizer(const OptimizerSpec& spec, Vector initial_point);

// The linear form of a fully set spec.
LinearMethod LinearForm(const OptimizerSpec& spec);

// Vectors of length d that the optimizer keeps (1 for GD: the iterate; 2 with momentum): for memory
// forecasts.
int StateVectors(const OptimizerSpec& spec);

}  // namespace polyak::engine
