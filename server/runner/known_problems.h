#pragma once

#include <memory>
#include <vector>

#include "server/base/mutex.h"
#include "server/engine/problems/quadratic.h"

namespace polyak::runner {

// Quadratics with a full matrix that jobs are using at this moment, the newest ones: a job with
// the same matrix takes over what was computed for it. Keeps none of them alive. Safe from any
// thread.
class KnownProblems {
 public:
  using Instance = std::shared_ptr<const engine::QuadraticInstance>;

  // Cost: O(1); looking for one's own matrix among them is O(d^2), and mostly far less.
  std::vector<Instance> quadratics() const;
  // Adds it, unless one with the same matrix in another object, made at the same time, was faster:
  // returns that one, else null. Cost: as looking for one's own matrix.
  Instance AddUnlessKnown(const Instance& instance);

 private:
  mutable base::Mutex mutex_;
  std::vector<std::weak_ptr<const engine::QuadraticInstance>> quadratics_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::runner
