#include "server/spec/parse_dataset.h"
#include "server/spec/parse_problem.h"
#include "server/spec/parse_values.h"

namespace polyak::spec {
namespace {

const char kPath[] = "spec.relu_network";

void CheckShape(const engine::Matrix& weights, int64_t rows, int64_t cols, const std::string& path,
                Violations& violations) {
  if (weights.rows() != rows || (cols > 0 && weights.cols() != cols)) {
    violations.Add(path,
                   Refusal(absl::StrCat(weights.rows(), " x ", weights.cols()),
                           absl::StrCat(rows, " x ", cols, ", width x input dimension, or empty")));
  }
}

}  // namespace

engine::ReluNetworkSpec ParseReluNetwork(const v1::ReluNetworkProblem& message,
                                         const Limits& limits, Violations& violations) {
  engine::ReluNetworkSpec spec;
  DatasetRules rules;
  rules.synthetic = engine::SyntheticKind::kUnitSphere;
  rules.default_scaling = engine::FeatureScaling::kUnitNorm;
  rules.one_target_column = true;
  const ParsedDataset data =
      ParseDataset(message.dataset(), rules, limits, absl::StrCat(kPath, ".dataset"), violations);
  spec.dataset = data.spec;
  spec.width = message.width();
  CheckRange(spec.width, 1, limits.max_width, absl::StrCat(kPath, ".width"), violations);
  if (message.has_initial_hidden_weights()) {
    const std::string path = absl::StrCat(kPath, ".initial_hidden_weights");
    spec.initial_hidden_weights =
        ParseMatrix(message.initial_hidden_weights(),
                    {limits.max_width, limits.max_input_dimension}, path, violations);
    if (spec.initial_hidden_weights != nullptr) {
      CheckShape(*spec.initial_hidden_weights, spec.width, data.inputs, path, violations);
    }
  }
  if (!message.output_weights().empty()) {
    const std::string path = absl::StrCat(kPath, ".output_weights");
    if (message.output_weights_size() != spec.width) {
      violations.Add(path,
                     absl::StrCat("has ", message.output_weights_size(),
                                  " numbers; accepted: ", spec.width, ", the width, or none"));
    }
    for (int r = 0; r < message.output_weights_size(); ++r) {
      const double weight = message.output_weights(r);
      if (weight != 1 && weight != -1) {
        violations.Add(absl::StrCat(path, "[", r, "]"), Refusal(weight, "1 or -1"));
      }
    }
    spec.output_weights = std::make_shared<const engine::Vector>(Eigen::Map<const engine::Vector>(
        message.output_weights().data(), message.output_weights_size()));
  }
  return spec;
}

}  // namespace polyak::spec
