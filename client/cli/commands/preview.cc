#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "client/cli/commands/commands.h"
#include "client/cli/problem_commands.h"

namespace polyak::cli {
namespace {

TextTable PreviewFacts(const v1::PreviewTrainingJobResponse& preview) {
  const auto& resolution = preview.resolution();
  const auto& prediction = resolution.prediction();
  const auto& forecast = preview.forecast();
  TextTable table;
  table.titles = {"preview", "nothing was run"};
  const auto add = [&table](std::string name, std::string value) {
    table.rows.push_back({std::move(name), std::move(value)});
  };
  add("step size", ShortNumber(resolution.step_size()));
  add("momentum", ShortNumber(resolution.momentum()));
  add("eigenvalues", absl::StrFormat("%.7g to %.7g", prediction.smallest_eigenvalue(),
                                     prediction.largest_eigenvalue()));
  add("kappa", absl::StrFormat("%.7g", prediction.condition_number()));
  if (prediction.theorem_condition_number() != prediction.condition_number()) {
    add("kappa of the theorem", absl::StrFormat("%.7g", prediction.theorem_condition_number()));
  }
  add("predicted rate", absl::StrFormat("%.6f", prediction.rate()));
  add("bound",
      std::isnan(prediction.bound_rate())
          ? "none: no theorem applies"
          : absl::StrFormat("%.4g x %.6f^t", prediction.constant(), prediction.bound_rate()));
  for (const auto& assumption : prediction.assumptions()) {
    add("",
        absl::StrCat(absl::StripPrefix(v1::Assumption::Status_Name(assumption.status()), "STATUS_"),
                     ": ", assumption.text()));
  }
  if (prediction.loss_floor() > 0) {
    add("loss out of reach", ShortNumber(prediction.loss_floor()));
  }
  add("plan", resolution.plan_reason());
  add("parameters", absl::StrFormat("%.0f", forecast.parameters()));
  add("memory", absl::StrFormat("%.4g MB, %.4g MB of it the trace", forecast.memory_bytes() / 1e6,
                                forecast.trace_bytes() / 1e6));
  add("operations",
      absl::StrFormat("%.3g to set up, %.3g an iteration", forecast.setup_operations(),
                      forecast.operations_per_iteration()));
  if (forecast.has_predicted_iterations()) {
    add("iterations to tolerance", absl::StrCat("about ", forecast.predicted_iterations()));
  }
  return table;
}

ExitCode Preview(const Context& context, const v1::TrainingJobSpec& spec) {
  const auto preview = context.Connect().Preview(spec);
  if (!preview.ok()) {
    return Fail(context, preview.status());
  }
  switch (context.output) {
    case OutputFormat::kTable:
      std::cout << FormatTable(PreviewFacts(*preview));
      break;
    case OutputFormat::kCsv:
      std::cout << FormatCsv(PreviewFacts(*preview));
      break;
    case OutputFormat::kJson:
    case OutputFormat::kYaml:
      return PrintMessage(context, *preview);  // the warnings are in it
  }
  for (const std::string& warning : preview->warnings()) {
    std::cerr << "warning: " << warning << "\n";
  }
  return kSucceeded;
}

}  // namespace

void RegisterPreview(CLI::App& program, const Context& context, Action& action) {
  CLI::App* command = program.add_subcommand(
      "preview", "what a job would do: parameters, prediction, cost, warnings; nothing runs");
  command->footer(
      "Examples:\n"
      "  polyak preview quadratic --kappa 1e6 --tolerance 1e-8\n"
      "  polyak preview relu --width 65536 -o json");
  AddProblemCommands(
      *command, context, {},
      [&context](const v1::TrainingJobSpec& spec) { return Preview(context, spec); }, action);
}

}  // namespace polyak::cli
