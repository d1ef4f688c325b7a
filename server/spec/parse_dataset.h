#pragma once

#include <string>

#include "polyak/v1/problem.pb.h"
#include "server/engine/data/dataset.h"
#include "server/spec/limits.h"
#include "server/spec/violations.h"

namespace polyak::spec {

// What a problem class asks of its data.
struct DatasetRules {
  engine::SyntheticKind synthetic = engine::SyntheticKind::kLinearTeacher;
  engine::FeatureScaling default_scaling = engine::FeatureScaling::kNone;
  bool one_target_column = false;
};

struct ParsedDataset {
  engine::DatasetSpec spec;
  int64_t examples = 0;  // after the cut; 0 if unknown because of violations
  int64_t inputs = 0;
  int64_t outputs = 0;
};

// path: of the data set, "spec.relu_network.dataset".
ParsedDataset ParseDataset(const v1::Dataset& message, const DatasetRules& rules,
                           const Limits& limits, const std::string& path, Violations& violations);

}  // namespace polyak::spec
