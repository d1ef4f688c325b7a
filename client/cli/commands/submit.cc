#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/commands/commands.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"
#include "client/cli/problem_commands.h"

namespace polyak::cli {
namespace {

struct SubmitFlags {
  bool follow = false;
  bool wait = false;
  std::string id;
  std::string display_name;
  std::vector<std::string> labels;
  std::string request_id;
};

absl::StatusOr<v1::CreateTrainingJobRequest> MakeRequest(const SubmitFlags& flags,
                                                         v1::TrainingJobSpec spec) {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = std::move(spec);
  request.set_training_job_id(flags.id);
  request.set_request_id(flags.request_id);
  request.set_display_name(flags.display_name);
  for (const std::string& label : flags.labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError("--label is '" + label + "'; accepted: KEY=VALUE");
    }
    (*request.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return request;
}

ExitCode Submit(const Context& context, const SubmitFlags& flags, v1::TrainingJobSpec spec) {
  auto request = MakeRequest(flags, std::move(spec));
  if (!request.ok()) {
    Fail(context, request.status());
    return kUsage;
  }
  client::Client client = context.Connect();
  auto job = client.Submit(*std::move(request));
  if (!job.ok()) {
    return Fail(context, job.status());
  }
  if (!flags.follow && !flags.wait) {
    if (context.output == OutputFormat::kTable) {
      std::cout << job->name() << "\n";
    } else {
      PrintJob(context, *job);
    }
    if (!context.quiet) {
      std::cerr << "Submitted. Follow it: polyak watch " << job->name() << "\n";
    }
    return kSucceeded;
  }
  if (!context.quiet) {
    std::cerr << "Submitted " << job->name() << ": " << Describe(job->spec())
              << ". Ctrl-C leaves it running; end it with: polyak cancel " << job->name() << "\n";
  }
  if (flags.follow) {
    FollowOptions options;
    options.name = job->name();
    options.with_diagnostics = job->spec().diagnostics_interval() > 0;
    return FollowAndReport(context, options);
  }
  WaitForJob();
  job = client.Wait(job->name(), absl::InfiniteDuration());
  return job.ok() ? PrintJob(context, *job) : Fail(context, job.status());
}

}  // namespace

void RegisterSubmit(CLI::App& program, const Context& context, Action& action) {
  CLI::App* command = program.add_subcommand("submit", "submit a job");
  command->footer(
      "Examples:\n"
      "  polyak submit quadratic --kappa 1e4 --optimizer polyak --follow\n"
      "  polyak submit relu --dataset datasets/digits --first-examples 50 --width 4096\n"
      "  polyak submit -f spec.txtpb --id my-job\n"
      "The job's name goes to stdout. Parameters that are not given are chosen by theory.");
  auto flags = std::make_shared<SubmitFlags>();
  command->add_flag("--follow", flags->follow, "watch it to its end");
  command->add_flag("--wait", flags->wait, "wait for its end, then print it");
  command->add_option("--id", flags->id, "the job's id: lower-case letters, digits and hyphens");
  command->add_option("--name", flags->display_name, "free text to show");
  command->add_option("--label", flags->labels, "KEY=VALUE; can be repeated");
  command->add_option("--request-id", flags->request_id,
                      "makes a repeated submission answer the first job (default: a random one)");
  AddProblemCommands(
      *command, context, {},
      [flags, &context](v1::TrainingJobSpec spec) {
        return Submit(context, *flags, std::move(spec));
      },
      action);
}

}  // namespace polyak::cli
