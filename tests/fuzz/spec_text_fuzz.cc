// A spec file in text format or JSON, as the command line reads it, and the text that a list is
// filtered by.

#include <string>

#include "client/cli/spec_file.h"
#include "server/spec/parse_filter.h"
#include "tests/fuzz/target.h"

namespace polyak::fuzz {

std::vector<std::string> Seeds() {
  return {
      "quadratic { spectrum { generated { dimension: 5 condition_number: 4 } } }\n"
      "optimizer { polyak_momentum { step_size: 0.1 momentum: 0.5 } }  # a comment\n",
      R"({"quadratic": {"matrix": {"rows": 1, "cols": 1, "values": [2.5e0]}},
          "optimizer": {"gradientDescent": {}}, "stopping": {"maxIterations": "5",
          "maxDuration": "1.5s"}, "plan": "EXECUTION_PLAN_DENSE", "seed": "-3"})",
      R"({"reluNetwork": {"width": "8", "dataset": {"synthetic": {"examples": 3,
          "inputDimension": 2, "correlation": "NaN"}}}, "optimizer": {"polyakMomentum": null}})",
      R"(state = "RUNNING" AND labels.course = "optimisation" AND problem = "quadratic")",
  };
}

}  // namespace polyak::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto spec = polyak::cli::ParseSpecText(text, "fuzz");
  polyak::spec::Violations violations;
  const auto filter = polyak::spec::ParseFilter(text, violations);
  polyak::v1::TrainingJob job;
  if (spec.ok()) {
    *job.mutable_spec() = *spec;
  }
  static_cast<void>(filter.Matches(job));
  return 0;
}
