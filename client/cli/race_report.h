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

// The table of the demo and of `polyak race`, for people: class, data, kappa, predicted and
// measured rate of each method (with one standard error), iterations to the tolerance, measured
// acceleration (ratio of iterations) against the predicted one (ratio of log rates), and whether
// the bound held at every checked iteration. An iteration count that did not reach the tolerance
// has a '>'.
TextTable RaceTable(const std::vector<RacePair>& pairs);

// The same for programs: one number a cell, as exactly as it is known; an empty cell where there is
// none.
TextTable RaceColumns(const std::vector<RacePair>& pairs);

// What the data of a spec is, in a few words: "digits, first 50, m = 4096", "log-uniform, d = 10".
std::string DescribeData(const v1::TrainingJobSpec& spec);

}  // namespace polyak::cli
