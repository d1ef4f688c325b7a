// A job's spec as it comes from the wire: parsed, refused or prepared, and trained for its first
// iterations.

#include <algorithm>

#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/text_format.h"
#include "server/base/check.h"
#include "server/runner/prepare.h"
#include "server/runner/runner.h"
#include "server/spec/parse_training_job.h"
#include "server/storage/memory_run_store.h"
#include "server/storage/memory_trace.h"
#include "tests/fuzz/target.h"
#include "tests/support/fake_clock.h"

namespace polyak {
namespace {

// Small enough for a few thousand jobs a second; what is above is refused like above a server's
// own limits.
spec::Limits SmallLimits() {
  spec::Limits limits;
  limits.max_dimension = 64;
  limits.max_matrix_dimension = 8;
  limits.max_examples = 8;
  limits.max_input_dimension = 8;
  limits.max_output_dimension = 4;
  limits.max_width = 32;
  limits.max_depth = 5;
  return limits;
}

void Train(spec::ExperimentSpec spec) {
  constexpr int64_t kIterations = 20;
  spec.stopping.max_iterations = std::min(spec.stopping.max_iterations, kIterations);
  spec::Violations violations;
  const auto prepared = runner::Prepare(spec, violations);
  POLYAK_CHECK((prepared != nullptr) == violations.empty());
  if (prepared == nullptr) {
    return;
  }
  const int columns = spec.diagnostics_interval > 0 ? int{engine::kDiagnosedTraceColumns}
                                                    : int{engine::kTraceColumns};
  storage::MemoryRunStore store(columns);
  storage::MemoryTrace trace(columns);
  const testing_support::FakeClock clock(0.001);
  const base::StopToken never;
  const auto result = runner::Run(*prepared, {"fuzz", store, trace, never, never, clock});
  POLYAK_CHECK(result.ok());
  POLYAK_CHECK(result->summary.iterations() + 1 == trace.row_count());
}

}  // namespace

namespace fuzz {

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const char* text :
       {"quadratic { matrix { rows: 2 cols: 2 values: [2, 1, 1, 2] } linear_term: [1, 1] "
        "initial_point: [0, 1] } optimizer { gradient_descent { step_size: 0.1 } } "
        "stopping { max_iterations: 5 relative_loss: 0.5 max_duration { seconds: 1 nanos: 5 } }",
        "quadratic { spectrum { explicit { eigenvalues: [1, 2] } } } "
        "optimizer { polyak_momentum { step_size: 0.1 momentum: 0.5 } } seed: 3",
        "quadratic { spectrum { generated { dimension: 5 condition_number: 4 smoothness: 2 "
        "shape: SHAPE_CHEBYSHEV } } } optimizer { nesterov_momentum {} tuning: TUNING_ASYMPTOTIC }",
        "quadratic { least_squares { ridge: 0.5 dataset { inline { "
        "features { rows: 2 cols: 1 values: [1, 2] } targets { rows: 2 cols: 1 values: [1, -1] } } "
        "feature_scaling: FEATURE_SCALING_STANDARDIZED } } } optimizer { polyak_momentum {} }",
        "relu_network { width: 8 dataset { synthetic { examples: 3 input_dimension: 2 "
        "correlation: 0.5 seed: 1 } first_examples: 2 } } optimizer { polyak_momentum {} }",
        "relu_network { width: 2 dataset { inline { features { rows: 1 cols: 1 values: 1 } "
        "targets { rows: 1 cols: 1 values: 1 } } } initial_hidden_weights { rows: 2 cols: 1 "
        "values: [1, -1] } output_weights: [1, -1] } optimizer { gradient_descent {} } "
        "plan: EXECUTION_PLAN_DENSE",
        "deep_linear_network { width: 4 depth: 3 dataset { synthetic { examples: 3 "
        "input_dimension: 2 output_dimension: 2 condition_number: 3 } } } "
        "optimizer { polyak_momentum {} }",
        "deep_linear_network { width: 1 depth: 2 initialization: INITIALIZATION_GAUSSIAN dataset { "
        "inline { features { rows: 1 cols: 1 values: 1 } targets { rows: 1 cols: 1 values: 2 } } } "
        "initial_weights { rows: 1 cols: 1 values: 1 } initial_weights { rows: 1 cols: 1 "
        "values: 2 } } optimizer { gradient_descent { step_size: 0.1 } }"}) {
    v1::TrainingJobSpec spec;
    POLYAK_CHECK(google::protobuf::TextFormat::ParseFromString(text, &spec));
    seeds.push_back(spec.SerializeAsString());
  }
  return seeds;
}

}  // namespace fuzz
}  // namespace polyak

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Of every text that is not UTF-8 it would say so.
  static auto* const silent = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(silent);
  polyak::v1::TrainingJobSpec message;
  if (!message.ParseFromArray(data, static_cast<int>(size))) {
    return 0;  // gRPC refuses it
  }
  polyak::spec::Violations violations;
  const auto spec = polyak::spec::ParseTrainingJobSpec(message, polyak::SmallLimits(), violations);
  POLYAK_CHECK(spec.has_value() == violations.empty());
  if (spec.has_value()) {
    polyak::Train(*spec);
  } else if (const auto part = polyak::spec::ParsePreparablePart(message, polyak::SmallLimits());
             part.has_value()) {
    polyak::runner::Prepare(*part, violations);
  }
  return 0;
}
