#pragma once

#include <cstdint>
#include <string>

#include "polyak/v1/training_job.pb.h"

namespace polyak::jobs {

// Jobs with the same key, other than "", may run in step: DENSE quadratics with the same full
// matrix, so that their products can be computed at once. Starts, linear terms, methods, seeds and
// stopping rules may differ; "" if there is a time limit, which others must not use up.
//   job: with resolution.   is_prepared: it won't have to wait for its data.
// Cost: SHA-256 of the matrix.
std::string GroupKey(const v1::TrainingJob& job, bool is_prepared);

// How many of `alike` jobs at the head of the queue a worker takes: its share, when so many other
// workers have nothing to do.
//   alike: >= 1.
int64_t GroupSize(int64_t alike, int64_t idle_workers);

}  // namespace polyak::jobs
