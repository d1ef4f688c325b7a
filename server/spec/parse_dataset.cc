#include "server/spec/parse_dataset.h"

#include <cmath>
#include <utility>

#include "server/engine/data/built_in.h"
#include "server/spec/named_datasets.h"
#include "server/spec/parse_values.h"

namespace polyak::spec {
namespace {

void ParseInline(const v1::InlineDataset& message, const Limits& limits, const std::string& path,
                 ParsedDataset& parsed, Violations& violations) {
  const auto features =
      ParseMatrix(message.features(), {limits.max_examples, limits.max_input_dimension},
                  path + ".features", violations);
  const auto targets =
      ParseMatrix(message.targets(), {limits.max_examples, limits.max_output_dimension},
                  path + ".targets", violations);
  if (features == nullptr || targets == nullptr) {
    return;
  }
  if (features->rows() != targets->rows()) {
    violations.Add(path + ".targets.rows",
                   Refusal(targets->rows(),
                           absl::StrCat(features->rows(), ", the number of rows of the features")));
    return;
  }
  parsed.spec.source =
      std::make_shared<const engine::Dataset>(engine::Dataset{*features, *targets});
  parsed.examples = features->rows();
  parsed.inputs = features->cols();
  parsed.outputs = targets->cols();
}

void ParseName(const std::string& name, const Limits& limits, const std::string& path,
               ParsedDataset& parsed, Violations& violations) {
  if (const engine::BuiltInDataset* set = engine::FindBuiltInDataset(name); set != nullptr) {
    parsed.spec.source = set->data;
    parsed.examples = set->data->features.rows();
    parsed.inputs = set->data->features.cols();
    parsed.outputs = set->data->targets.cols();
    return;
  }
  if (limits.datasets != nullptr) {
    if (auto stored = limits.datasets->Find(name); stored.has_value()) {
      parsed.examples = stored->examples;
      parsed.inputs = stored->input_dimension;
      parsed.outputs = stored->output_dimension;
      parsed.spec.source = *std::move(stored);
      return;
    }
  }
  std::string accepted;
  for (const engine::BuiltInDataset& known : engine::BuiltInDatasets()) {
    absl::StrAppend(&accepted, std::string{known.name}, ", ");
  }
  violations.Add(path + ".name",
                 Refusal(Quoted(name), absl::StrCat(accepted, "or one that was sent before")));
}

void ParseSyntheticShape(const v1::SyntheticDataset& message, const DatasetRules& rules,
                         const std::string& path, engine::SyntheticDataSpec& synthetic,
                         Violations& violations) {
  const bool linear = rules.synthetic == engine::SyntheticKind::kLinearTeacher;
  if (message.has_condition_number()) {
    const double value = message.condition_number();
    if (!linear) {
      violations.Add(path + ".condition_number",
                     "is set; accepted: quadratic and deep linear network only");
    } else if (!std::isfinite(value) || value < 1) {
      violations.Add(path + ".condition_number", Refusal(value, "a finite number of at least 1"));
    } else if (value > 1 && std::min(message.examples(), message.input_dimension()) == 1) {
      violations.Add(path + ".condition_number",
                     Refusal(value, "1 for a data matrix with one singular value"));
    }
    synthetic.condition_number = value;
  }
  if (message.has_correlation()) {
    if (linear) {
      violations.Add(path + ".correlation", "is set; accepted: ReLU network only");
    } else if (!(message.correlation() >= 0 && message.correlation() < 1)) {
      violations.Add(path + ".correlation", Refusal(message.correlation(), "0 <= correlation < 1"));
    }
    synthetic.correlation = message.correlation();
  }
}

void ParseSynthetic(const v1::SyntheticDataset& message, const DatasetRules& rules,
                    const Limits& limits, const std::string& path, ParsedDataset& parsed,
                    Violations& violations) {
  engine::SyntheticDataSpec synthetic;
  synthetic.kind = rules.synthetic;
  synthetic.examples = message.examples();
  synthetic.input_dimension = message.input_dimension();
  synthetic.output_dimension = message.output_dimension() == 0 ? 1 : message.output_dimension();
  bool good =
      CheckRange(synthetic.examples, 1, limits.max_examples, path + ".examples", violations);
  good = CheckRange(synthetic.input_dimension, 1, limits.max_input_dimension,
                    path + ".input_dimension", violations) &&
         good;
  good = CheckRange(synthetic.output_dimension, 1, limits.max_output_dimension,
                    path + ".output_dimension", violations) &&
         good;
  if (message.has_seed()) {
    synthetic.seed = engine::Seed{message.seed()};
  }
  ParseSyntheticShape(message, rules, path, synthetic, violations);
  if (good) {
    parsed.examples = synthetic.examples;
    parsed.inputs = synthetic.input_dimension;
    parsed.outputs = synthetic.output_dimension;
  }
  parsed.spec.source = synthetic;
}

engine::FeatureScaling ParseScaling(v1::FeatureScaling scaling, engine::FeatureScaling unset,
                                    const std::string& path, Violations& violations) {
  switch (scaling) {
    case v1::FEATURE_SCALING_UNSPECIFIED:
      return unset;
    case v1::FEATURE_SCALING_NONE:
      return engine::FeatureScaling::kNone;
    case v1::FEATURE_SCALING_STANDARDIZED:
      return engine::FeatureScaling::kStandardized;
    case v1::FEATURE_SCALING_UNIT_NORM:
      return engine::FeatureScaling::kUnitNorm;
    default:
      violations.Add(
          path,
          Refusal(static_cast<int>(scaling),
                  "FEATURE_SCALING_NONE, FEATURE_SCALING_STANDARDIZED, FEATURE_SCALING_UNIT_NORM"));
      return unset;
  }
}

void CheckZeroRows(const ParsedDataset& parsed, const std::string& path, Violations& violations) {
  const auto* data = std::get_if<std::shared_ptr<const engine::Dataset>>(&parsed.spec.source);
  if (data == nullptr || *data == nullptr ||
      parsed.spec.scaling != engine::FeatureScaling::kUnitNorm) {
    return;
  }
  for (int64_t i = 0; i < parsed.examples; ++i) {
    if ((*data)->features.row(i).isZero(0)) {
      violations.Add(path, absl::StrCat("has a zero row ", i,
                                        "; accepted: no zero row, or another feature_scaling"));
    }
  }
}

}  // namespace

ParsedDataset ParseDataset(const v1::Dataset& message, const DatasetRules& rules,
                           const Limits& limits, const std::string& path, Violations& violations) {
  ParsedDataset parsed;
  switch (message.source_case()) {
    case v1::Dataset::kInline:
      ParseInline(message.inline_(), limits, path + ".inline", parsed, violations);
      break;
    case v1::Dataset::kSynthetic:
      ParseSynthetic(message.synthetic(), rules, limits, path + ".synthetic", parsed, violations);
      break;
    case v1::Dataset::kName:
      ParseName(message.name(), limits, path, parsed, violations);
      break;
    case v1::Dataset::SOURCE_NOT_SET:
      violations.Add(path + ".source", Refusal("not set", "inline, synthetic or name"));
      break;
  }
  if (rules.one_target_column && parsed.outputs > 1) {
    violations.Add(path, absl::StrCat("has ", parsed.outputs,
                                      " target columns; accepted: exactly 1 for this problem"));
  }
  parsed.spec.first_examples = message.first_examples();
  if (message.first_examples() < 0 ||
      (parsed.examples > 0 && message.first_examples() > parsed.examples)) {
    violations.Add(path + ".first_examples",
                   Refusal(message.first_examples(), absl::StrCat("0 (all) to ", parsed.examples)));
  } else if (message.first_examples() > 0 && parsed.examples > 0) {
    parsed.examples = message.first_examples();
  }
  parsed.spec.scaling = ParseScaling(message.feature_scaling(), rules.default_scaling,
                                     path + ".feature_scaling", violations);
  CheckZeroRows(parsed, path, violations);
  return parsed;
}

}  // namespace polyak::spec
