#include "client/cli/problem_commands.h"

#include <memory>
#include <string>
#include <utility>

#include "client/cli/spec_file.h"
#include "client/cli/spec_flags.h"

namespace polyak::cli {
namespace {

ExitCode RunWith(const Context& context, const absl::StatusOr<v1::TrainingJobSpec>& spec,
                 const std::function<ExitCode(v1::TrainingJobSpec)>& run) {
  if (!spec.ok()) {
    Fail(context, spec.status());
    return kUsage;
  }
  return run(*spec);
}

}  // namespace

void AddProblemCommands(CLI::App& command, const Context& context,
                        const ProblemCommandOptions& options,
                        const std::function<ExitCode(v1::TrainingJobSpec)>& run,
                        std::function<ExitCode()>& action) {
  struct Problem {
    const char* name;
    const char* description;
    void (SpecFlags::*add)(CLI::App&);
    absl::StatusOr<v1::TrainingJobSpec> (SpecFlags::*spec)() const;
  };
  static constexpr Problem kProblems[] = {
      {"quadratic", "a strongly convex quadratic, or least squares on a data set",
       &SpecFlags::AddQuadratic, &SpecFlags::Quadratic},
      {"relu", "a wide one-hidden-layer ReLU network", &SpecFlags::AddReluNetwork,
       &SpecFlags::ReluNetwork},
      {"deep-linear", "a deep linear network", &SpecFlags::AddDeepLinearNetwork,
       &SpecFlags::DeepLinearNetwork},
  };
  for (const Problem& problem : kProblems) {
    auto flags = std::make_shared<SpecFlags>();
    CLI::App* sub = command.add_subcommand(problem.name, problem.description);
    sub->fallthrough();
    ((*flags).*problem.add)(*sub);
    if (options.optimizer_flags) {
      flags->AddOptimizer(*sub);
    }
    flags->AddRun(*sub);
    sub->callback([flags, &context, run, &action, make = problem.spec] {
      action = [flags, &context, run, make] { return RunWith(context, ((*flags).*make)(), run); };
    });
  }
  if (options.spec_file) {
    auto path = std::make_shared<std::string>();
    command.add_option("-f,--file", *path,
                       "a TrainingJobSpec in protobuf text format or JSON; - for standard input");
    command.require_subcommand(0, 1);
    command.callback([path, &context, run, &action, &command] {
      if (!command.get_subcommands().empty()) {
        if (!path->empty()) {
          throw CLI::ValidationError("-f", "give a spec file or a problem, not both");
        }
        return;
      }
      if (path->empty()) {
        throw CLI::RequiredError("quadratic, relu, deep-linear or -f FILE");
      }
      action = [path, &context, run] { return RunWith(context, ReadSpecFile(*path), run); };
    });
  } else {
    command.require_subcommand(1);
  }
}

}  // namespace polyak::cli
