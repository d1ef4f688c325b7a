#pragma once

#include <map>
#include <optional>
#include <string>

#include "polyak/v1/training_job.pb.h"
#include "server/spec/violations.h"

namespace polyak::spec {

// Which jobs a list shows.
struct JobFilter {
  std::optional<v1::TrainingJob::State> state;
  std::optional<v1::TrainingJobSpec::ProblemCase> problem;
  std::optional<v1::Optimizer::MethodCase> optimizer;
  std::map<std::string, std::string> labels;
  // Two conditions ask the same field for two values: no job matches.
  bool contradictory = false;

  bool Matches(const v1::TrainingJob& job) const;
};

// Conditions joined by AND, as documented at ListTrainingJobsRequest.filter.
JobFilter ParseFilter(const std::string& text, Violations& violations);

}  // namespace polyak::spec
