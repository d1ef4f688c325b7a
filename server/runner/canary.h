#pragma once

#include "server/base/clock.h"

namespace polyak::runner {

// Trains a quadratic of dimension 2 by gradient descent and compares its last loss with the closed
// form: whether this build, on this processor, computes what the theory says.
// Returns false if the run failed or the loss is wrong.   Cost: under a millisecond.
bool CanaryPasses(const base::Clock& clock);

}  // namespace polyak::runner
