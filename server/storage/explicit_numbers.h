#pragma once

#include "polyak/v1/training_job.pb.h"

namespace polyak::storage {

// Takes out of a spec the numbers that a client may have written one by one: matrices, vectors,
// eigenvalues, inline data. What is left is small, and is what lists show.
// Returns whether there were any.
bool ClearExplicitNumbers(v1::TrainingJobSpec& spec);

}  // namespace polyak::storage
