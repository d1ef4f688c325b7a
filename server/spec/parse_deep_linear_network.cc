#include <algorithm>

#include "server/spec/parse_dataset.h"
#include "server/spec/parse_problem.h"
#include "server/spec/parse_values.h"

namespace polyak::spec {
namespace {

const char kPath[] = "spec.deep_linear_network";

engine::DeepLinearInitialization ParseInitialization(
    v1::DeepLinearNetworkProblem::Initialization initialization, Violations& violations) {
  switch (initialization) {
    case v1::DeepLinearNetworkProblem::INITIALIZATION_UNSPECIFIED:
    case v1::DeepLinearNetworkProblem::INITIALIZATION_ORTHOGONAL:
      return engine::DeepLinearInitialization::kOrthogonal;
    case v1::DeepLinearNetworkProblem::INITIALIZATION_GAUSSIAN:
      return engine::DeepLinearInitialization::kGaussian;
    default:
      violations.Add(absl::StrCat(kPath, ".initialization"),
                     Refusal(static_cast<int>(initialization),
                             "INITIALIZATION_ORTHOGONAL, INITIALIZATION_GAUSSIAN"));
      return engine::DeepLinearInitialization::kOrthogonal;
  }
}

void ParseInitialWeights(const v1::DeepLinearNetworkProblem& message, const ParsedDataset& data,
                         const Limits& limits, engine::DeepLinearNetworkSpec& spec,
                         Violations& violations) {
  const std::string path = absl::StrCat(kPath, ".initial_weights");
  if (message.initial_weights_size() != message.depth()) {
    violations.Add(path,
                   absl::StrCat("has ", message.initial_weights_size(),
                                " matrices; accepted: ", message.depth(), ", the depth, or none"));
    return;
  }
  std::vector<engine::Matrix> weights;
  for (int l = 0; l < message.initial_weights_size(); ++l) {
    const std::string layer_path = absl::StrCat(path, "[", l, "]");
    const auto layer = ParseMatrix(message.initial_weights(l), {limits.max_width, limits.max_width},
                                   layer_path, violations);
    if (layer == nullptr) {
      continue;
    }
    const int64_t rows = l + 1 == message.depth() ? data.outputs : message.width();
    const int64_t cols = l == 0 ? data.inputs : message.width();
    if (data.inputs > 0 && (layer->rows() != rows || layer->cols() != cols)) {
      violations.Add(layer_path, Refusal(absl::StrCat(layer->rows(), " x ", layer->cols()),
                                         absl::StrCat(rows, " x ", cols, " for W_", l + 1)));
    }
    weights.push_back(*layer);
  }
  spec.initial_weights = std::make_shared<const std::vector<engine::Matrix>>(std::move(weights));
}

}  // namespace

engine::DeepLinearNetworkSpec ParseDeepLinearNetwork(const v1::DeepLinearNetworkProblem& message,
                                                     const Limits& limits, Violations& violations) {
  engine::DeepLinearNetworkSpec spec;
  const ParsedDataset data =
      ParseDataset(message.dataset(), {}, limits, absl::StrCat(kPath, ".dataset"), violations);
  spec.dataset = data.spec;
  spec.width = message.width();
  spec.depth = message.depth();
  CheckRange(spec.width, 1, limits.max_width, absl::StrCat(kPath, ".width"), violations);
  CheckRange(spec.depth, 2, limits.max_depth, absl::StrCat(kPath, ".depth"), violations);
  spec.initialization = ParseInitialization(message.initialization(), violations);
  if (!message.initial_weights().empty()) {
    ParseInitialWeights(message, data, limits, spec, violations);
  } else if (spec.initialization == engine::DeepLinearInitialization::kOrthogonal &&
             data.inputs > 0) {
    const int64_t least = std::max(data.inputs, data.outputs);
    if (spec.width >= 1 && spec.width < least) {
      violations.Add(
          absl::StrCat(kPath, ".width"),
          Refusal(spec.width, absl::StrCat("at least ", least,
                                           ", the larger of input and output dimension, for "
                                           "INITIALIZATION_ORTHOGONAL")));
    }
  }
  return spec;
}

}  // namespace polyak::spec
