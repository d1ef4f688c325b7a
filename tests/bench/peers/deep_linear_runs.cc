// The deep linear network of one case of script/bench-peers: writes its numbers for the peers, then
// runs it as often as it is told (whole_run.h).
//
//   polyak_peer_deep_linear START EXAMPLES INPUTS OUTPUTS DEPTH WIDTH [FOLDER]
//
// START is "orthogonal" or "gaussian". The data have a condition number of 3 and targets by a
// linear teacher, so that no part of the loss is out of reach. FOLDER gets features (n x d_x),
// targets (n x d_y), weights (W_1 .. W_L one after another), each column by column, and
// parameters.json.

#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "server/base/check.h"
#include "server/engine/problems/deep_linear_network.h"
#include "tests/bench/peers/whole_run.h"

namespace polyak::bench {
namespace {

constexpr double kConditionNumber = 3;

void WriteCase(const engine::DeepLinearNetworkSpec& spec, const std::string& folder) {
  const auto job = Prepared(PolyakRun(spec, engine::ExecutionPlan::kDense, 0));
  const auto& instance =
      *std::get<std::shared_ptr<const engine::DeepLinearNetworkInstance>>(job->experiment.problem);
  WriteValues(folder + "/features", instance.features);
  WriteValues(folder + "/targets", instance.targets);
  for (const engine::Matrix& layer : engine::InitialDeepLinearWeights(instance)) {
    WriteValues(folder + "/weights", layer);
  }
  std::ofstream(folder + "/parameters.json") << absl::StrFormat(
      R"({"examples": %d, "inputs": %d, "outputs": %d, "depth": %d, "width": %d, )"
      R"("step_size": %.17g, "momentum": %.17g})",
      instance.examples(), instance.input_dimension(), instance.output_dimension(), instance.depth,
      instance.width, job->theory.method.step_size, job->theory.method.momentum);
}

int Main(int argc, char** argv) {
  engine::SyntheticDataSpec data;
  data.condition_number = kConditionNumber;
  engine::DeepLinearNetworkSpec spec;
  POLYAK_CHECK((argc == 7 || argc == 8) && absl::SimpleAtoi(argv[2], &data.examples) &&
               absl::SimpleAtoi(argv[3], &data.input_dimension) &&
               absl::SimpleAtoi(argv[4], &data.output_dimension) &&
               absl::SimpleAtoi(argv[5], &spec.depth) && absl::SimpleAtoi(argv[6], &spec.width));
  const std::string_view start = argv[1];
  POLYAK_CHECK(start == "orthogonal" || start == "gaussian");
  spec.initialization = start == "gaussian" ? engine::DeepLinearInitialization::kGaussian
                                            : engine::DeepLinearInitialization::kOrthogonal;
  spec.dataset.source = data;
  if (argc == 8) {
    WriteCase(spec, argv[7]);
  }
  AnswerRuns([&spec](engine::ExecutionPlan plan, int64_t iterations) {
    return PolyakRun(spec, plan, iterations);
  });
  return 0;
}

}  // namespace
}  // namespace polyak::bench

int main(int argc, char** argv) { return polyak::bench::Main(argc, argv); }
