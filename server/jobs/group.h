#pragma once

#include <cstdint>
#include <string>

#include "polyak/v1/training_job.pb.h"

namespace polyak::jobs {

// Jobs with the same key, other than "", may run in step: DENSE quadratics with the same full
// matrix, so that their products can be computed at once. Starts, linear terms, methods, seeds and
// stopping rules may differ; "" if the spec has a time limit, which others must not use up (the
// server's own counts each job's share of the slices).
//   job: with resolution.
// Of data that are named, it is only likely that they are the same: whose matrices differ after all
// have no product in common. Cost: SHA-256 of the matrix.
std::string GroupKey(const v1::TrainingJob& job);

// How many of `alike` jobs at the head of the queue a worker takes: its share, so that the other
// workers find theirs, now or when they have ended what they do.
//   alike: >= 1.   other_workers: without those that have such jobs already.
int64_t GroupSize(int64_t alike, int64_t other_workers);

// How many jobs a worker may run in step where a process may have so many file descriptors: all
// groups together take a quarter of them, the rest is left for connections and readers.
// Returns 1 to runner::kGroupMax.
int64_t GroupMax(int64_t descriptors, int workers);

}  // namespace polyak::jobs
