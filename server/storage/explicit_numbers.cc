#include "server/storage/explicit_numbers.h"

namespace polyak::storage {
namespace {

template <typename Numbers>
bool Clear(Numbers* numbers) {
  const bool had_any = !numbers->empty();
  numbers->Clear();
  return had_any;
}

// Sub-messages that are not there are not made: a spec without numbers comes out unchanged.
bool ClearInline(v1::Dataset& dataset) {
  if (!dataset.has_inline_()) {
    return false;
  }
  v1::InlineDataset& data = *dataset.mutable_inline_();
  bool cleared = data.has_features() && Clear(data.mutable_features()->mutable_values());
  cleared |= data.has_targets() && Clear(data.mutable_targets()->mutable_values());
  return cleared;
}

bool ClearQuadratic(v1::QuadraticProblem& problem) {
  bool cleared = Clear(problem.mutable_linear_term());
  cleared |= Clear(problem.mutable_initial_point());
  if (problem.has_matrix()) {
    cleared |= Clear(problem.mutable_matrix()->mutable_values());
  } else if (problem.spectrum().has_explicit_()) {
    cleared |= Clear(problem.mutable_spectrum()->mutable_explicit_()->mutable_eigenvalues());
  } else if (problem.least_squares().has_dataset()) {
    cleared |= ClearInline(*problem.mutable_least_squares()->mutable_dataset());
  }
  return cleared;
}

bool ClearReluNetwork(v1::ReluNetworkProblem& problem) {
  bool cleared = Clear(problem.mutable_output_weights());
  cleared |= problem.has_initial_hidden_weights();
  problem.clear_initial_hidden_weights();
  cleared |= problem.has_dataset() && ClearInline(*problem.mutable_dataset());
  return cleared;
}

bool ClearDeepLinearNetwork(v1::DeepLinearNetworkProblem& problem) {
  bool cleared = Clear(problem.mutable_initial_weights());
  cleared |= problem.has_dataset() && ClearInline(*problem.mutable_dataset());
  return cleared;
}

}  // namespace

bool ClearExplicitNumbers(v1::TrainingJobSpec& spec) {
  switch (spec.problem_case()) {
    case v1::TrainingJobSpec::kQuadratic:
      return ClearQuadratic(*spec.mutable_quadratic());
    case v1::TrainingJobSpec::kReluNetwork:
      return ClearReluNetwork(*spec.mutable_relu_network());
    case v1::TrainingJobSpec::kDeepLinearNetwork:
      return ClearDeepLinearNetwork(*spec.mutable_deep_linear_network());
    case v1::TrainingJobSpec::PROBLEM_NOT_SET:
      break;
  }
  return false;
}

}  // namespace polyak::storage
