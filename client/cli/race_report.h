#pragma once

#include <string>
#include <vector>

#include "client/cli/output.h"
#include "polyak/v1/training_job.pb.h"

namespace polyak::cli {

// Two ended jobs on the same problem, data and start.
struct RacePair {
  std::string problem;  // "quadratic"
  std::string data;     // "diabetes, 442 x 10"
  v1::TrainingJob gradient_descent;
  v1::TrainingJob momentum;
};

// The table of the demo and of `polyak race`: class, data, kappa, predicted and measured rate of
// each method, iterations to the tolerance, measured acceleration (ratio of iterations) against the
// predicted one (ratio of log rates), and whether the bound held at every checked iteration.
TextTable RaceTable(const std::vector<RacePair>& pairs);

}  // namespace polyak::cli
