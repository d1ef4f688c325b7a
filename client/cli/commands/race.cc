#include <array>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/commands/commands.h"
#include "client/cli/follow.h"
#include "client/cli/problem_commands.h"
#include "client/cli/race_report.h"

namespace polyak::cli {
namespace {

constexpr double kDefaultTolerance = 1e-8;

ExitCode Race(const Context& context, v1::TrainingJobSpec spec) {
  if (!spec.stopping().has_relative_loss()) {
    spec.mutable_stopping()->set_relative_loss(kDefaultTolerance);
  }
  client::Client client = context.Connect();
  std::vector<std::string> names;
  for (const bool momentum : {false, true}) {
    v1::CreateTrainingJobRequest request;
    *request.mutable_spec() = spec;
    auto& optimizer = *request.mutable_spec()->mutable_optimizer();
    optimizer.clear_method();
    if (momentum) {
      optimizer.mutable_polyak_momentum();
    } else {
      optimizer.mutable_gradient_descent();
    }
    const auto job = client.Submit(std::move(request));
    if (!job.ok()) {
      return Fail(context, job.status());
    }
    names.push_back(job->name());
  }
  const std::array<std::string, 2> labels = {"gradient descent", "Polyak's momentum"};
  const auto jobs = FollowTogether(context, names, labels, "race, loss");
  if (!jobs.ok()) {
    return Fail(context, jobs.status());
  }
  if (context.output == OutputFormat::kJson || context.output == OutputFormat::kYaml) {
    PrintJob(context, (*jobs)[0]);
    PrintJob(context, (*jobs)[1]);
  } else {
    const std::string what = Describe(spec).substr(0, Describe(spec).find(','));
    const std::vector<RacePair> pairs = {{what, DescribeData(spec), (*jobs)[0], (*jobs)[1]}};
    std::cout << (context.output == OutputFormat::kCsv ? FormatCsv(RaceColumns(pairs))
                                                       : FormatTable(RaceTable(pairs)));
  }
  // The worse of the two outcomes, in the order of the exit codes.
  return std::max(ExitCodeOf((*jobs)[0]), ExitCodeOf((*jobs)[1]));
}

}  // namespace

void RegisterRace(CLI::App& program, const Context& context, Action& action) {
  CLI::App* command = program.add_subcommand(
      "race", "gradient descent against Polyak's momentum, on the same problem, data and start");
  command->footer(
      "Both run to a loss of 1e-8 of the initial one, or to --tolerance, with parameters chosen by "
      "theory;\n"
      "the method of a spec file is left out.\n"
      "Examples:\n"
      "  polyak race quadratic --kappa 1e4\n"
      "  polyak race relu --first-examples 50");
  AddProblemCommands(
      *command, context, {.optimizer_flags = false, .spec_file = true},
      [&context](v1::TrainingJobSpec spec) { return Race(context, std::move(spec)); }, action);
}

}  // namespace polyak::cli
