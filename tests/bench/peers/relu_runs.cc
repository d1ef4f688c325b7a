// The wide ReLU network of one case of script/bench-peers: writes its numbers for the peers, then
// runs it as often as it is told (whole_run.h).
//
//   polyak_peer_relu DATA EXAMPLES DIMENSION WIDTH [FOLDER]
//
// DATA is "digits", the first EXAMPLES of datasets/digits with rows of unit norm, or "sphere",
// EXAMPLES random rows of unit norm with standard normal targets. FOLDER gets features (n x d),
// targets (n), hidden_weights (m x d), output_weights (m), each column by column, and
// parameters.json.

#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "server/base/check.h"
#include "server/engine/data/built_in.h"
#include "server/engine/problems/relu_network.h"
#include "tests/bench/peers/whole_run.h"

namespace polyak::bench {
namespace {

engine::DatasetSpec Data(std::string_view name, int64_t examples, int64_t dimension) {
  engine::DatasetSpec data;
  if (name == "digits") {
    data.source = engine::FindBuiltInDataset("datasets/digits")->data;
    data.first_examples = examples;
    data.scaling = engine::FeatureScaling::kUnitNorm;
  } else {
    POLYAK_CHECK(name == "sphere");
    engine::SyntheticDataSpec sphere;
    sphere.kind = engine::SyntheticKind::kUnitSphere;
    sphere.examples = examples;
    sphere.input_dimension = dimension;
    data.source = sphere;
  }
  return data;
}

// On its own, so that W is gone again before the first run.
void WriteHiddenWeights(const engine::ReluNetworkInstance& instance, const std::string& path) {
  engine::Matrix weights(instance.width, instance.input_dimension());
  engine::FillInitialHiddenWeights(instance, 0, weights);
  WriteValues(path, weights);
}

void WriteCase(const engine::ReluNetworkSpec& spec, const std::string& folder) {
  const auto job = Prepared(PolyakRun(spec, engine::ExecutionPlan::kDense, 0));
  const auto& instance =
      *std::get<std::shared_ptr<const engine::ReluNetworkInstance>>(job->experiment.problem);
  WriteValues(folder + "/features", instance.features);
  WriteValues(folder + "/targets", instance.targets);
  WriteValues(folder + "/output_weights", engine::OutputWeights(instance));
  WriteHiddenWeights(instance, folder + "/hidden_weights");
  std::ofstream(folder + "/parameters.json") << absl::StrFormat(
      R"({"examples": %d, "inputs": %d, "width": %d, "step_size": %.17g, "momentum": %.17g})",
      instance.examples(), instance.input_dimension(), instance.width, job->theory.method.step_size,
      job->theory.method.momentum);
}

int Main(int argc, char** argv) {
  int64_t examples = 0;
  int64_t dimension = 0;
  engine::ReluNetworkSpec spec;
  POLYAK_CHECK((argc == 5 || argc == 6) && absl::SimpleAtoi(argv[2], &examples) &&
               absl::SimpleAtoi(argv[3], &dimension) && absl::SimpleAtoi(argv[4], &spec.width));
  spec.dataset = Data(argv[1], examples, dimension);
  if (argc == 6) {
    WriteCase(spec, argv[5]);
  }
  AnswerRuns([&spec](engine::ExecutionPlan plan, int64_t iterations) {
    return PolyakRun(spec, plan, iterations);
  });
  return 0;
}

}  // namespace
}  // namespace polyak::bench

int main(int argc, char** argv) { return polyak::bench::Main(argc, argv); }
