#include <array>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "client/cli/commands/commands.h"
#include "client/cli/follow.h"
#include "client/cli/race_report.h"

namespace polyak::cli {
namespace {

constexpr double kTolerance = 1e-8;

struct DemoCase {
  const char* problem;
  const char* data;
  v1::TrainingJobSpec spec;
};

// Real data for each class: sizes and settings for which docs/theory.md, section 7, gives reference
// figures.
std::vector<DemoCase> DemoCases() {
  std::vector<DemoCase> cases(3);
  cases[0].problem = "quadratic";
  cases[0].data = "diabetes, 442 x 10";
  auto& quadratic = *cases[0].spec.mutable_quadratic();
  quadratic.mutable_least_squares()->mutable_dataset()->set_name("datasets/diabetes");
  for (int i = 0; i < 10; ++i) {
    quadratic.add_initial_point(0);
  }
  cases[1].problem = "ReLU network";
  cases[1].data = "digits, 50 x 64, m = 4,096";
  auto& relu = *cases[1].spec.mutable_relu_network();
  relu.mutable_dataset()->set_name("datasets/digits");
  relu.mutable_dataset()->set_first_examples(50);
  relu.set_width(4096);
  cases[2].problem = "deep linear network";
  cases[2].data = "wine, 178 x 13, L = 4, m = 64";
  auto& linear = *cases[2].spec.mutable_deep_linear_network();
  linear.mutable_dataset()->set_name("datasets/wine");
  linear.set_width(64);
  linear.set_depth(4);
  return cases;
}

absl::StatusOr<std::string> SubmitOne(client::Client& client, v1::TrainingJobSpec spec,
                                      bool momentum) {
  spec.mutable_stopping()->set_relative_loss(kTolerance);
  if (momentum) {
    spec.mutable_optimizer()->mutable_polyak_momentum();
  } else {
    spec.mutable_optimizer()->mutable_gradient_descent();
  }
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = std::move(spec);
  const auto job = client.Submit(std::move(request));
  if (!job.ok()) {
    return job.status();
  }
  return job->name();
}

// What the predictions rest on, with the digits of the reference figures.
TextTable SpectraTable(const std::vector<RacePair>& pairs) {
  TextTable table;
  table.titles = {"data", "smallest eigenvalue", "largest eigenvalue", "kappa"};
  for (const RacePair& pair : pairs) {
    const auto& prediction = pair.momentum.resolution().prediction();
    table.rows.push_back({pair.data, absl::StrFormat("%.12f", prediction.smallest_eigenvalue()),
                          absl::StrFormat("%.12f", prediction.largest_eigenvalue()),
                          absl::StrFormat("%.4f", prediction.condition_number())});
  }
  return table;
}

ExitCode Demo(const Context& context) {
  client::Client client = context.Connect();
  const std::array<std::string, 2> labels = {"gradient descent", "Polyak's momentum"};
  std::vector<RacePair> pairs;
  ExitCode worst = kSucceeded;
  for (DemoCase& demo : DemoCases()) {
    if (!context.quiet) {
      std::cerr << "Training " << demo.problem << " on " << demo.data << " ...\n";
    }
    std::vector<std::string> names;
    for (const bool momentum : {false, true}) {
      const auto name = SubmitOne(client, demo.spec, momentum);
      if (!name.ok()) {
        return Fail(context, name.status());
      }
      names.push_back(*name);
    }
    auto jobs = FollowTogether(context, names, labels,
                               std::string(demo.problem) + " on " + demo.data + ", loss");
    if (!jobs.ok()) {
      return Fail(context, jobs.status());
    }
    for (const auto& job : *jobs) {
      worst = std::max(worst, ExitCodeOf(job));
    }
    pairs.push_back({demo.problem, demo.data, std::move((*jobs)[0]), std::move((*jobs)[1])});
  }
  switch (context.output) {
    case OutputFormat::kTable:
      std::cout << FormatTable(RaceTable(pairs)) << "\n" << FormatTable(SpectraTable(pairs));
      break;
    case OutputFormat::kCsv:
      std::cout << FormatCsv(RaceColumns(pairs));
      break;
    case OutputFormat::kJson:
    case OutputFormat::kYaml:
      for (const RacePair& pair : pairs) {
        PrintMessage(context, pair.gradient_descent);
        PrintMessage(context, pair.momentum);
      }
      break;
  }
  return worst;
}

}  // namespace

void RegisterDemo(CLI::App& program, const Context& context, Action& action) {
  CLI::App* command = program.add_subcommand("demo",
                                             "train all three problem classes on real data, with "
                                             "gradient descent and with Polyak's momentum");
  command->footer(
      "Each job runs to a loss of 1e-8 of its initial one; one table at the end, in which every "
      "measured rate\n"
      "has its standard error. -o csv is the table as data, -o json and yaml are the six jobs.");
  command->callback([&context, &action] { action = [&context] { return Demo(context); }; });
}

}  // namespace polyak::cli
