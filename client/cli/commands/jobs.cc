#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands/commands.h"
#include "client/cli/follow.h"
#include "client/cli/interrupt.h"

namespace polyak::cli {
namespace {

// A command on one job: adds it with its JOB argument.
CLI::App* AddJobCommand(CLI::App& program, const char* name, const char* description,
                        const std::shared_ptr<std::string>& job) {
  CLI::App* command = program.add_subcommand(name, description);
  command->add_option("job", *job, "a job's id, or its name trainingJobs/ID")
      ->required()
      ->type_name("JOB");
  return command;
}

ExitCode PrintOrFail(const Context& context, const absl::StatusOr<v1::TrainingJob>& job) {
  return job.ok() ? PrintJob(context, *job) : Fail(context, job.status());
}

struct ListFlags {
  int32_t page_size = 50;
  std::string page_token;
  std::string filter;
};

ExitCode List(const Context& context, const ListFlags& flags) {
  v1::ListTrainingJobsRequest request;
  request.set_page_size(flags.page_size);
  request.set_page_token(flags.page_token);
  request.set_filter(flags.filter);
  const auto response = context.Connect().List(request);
  if (!response.ok()) {
    return Fail(context, response.status());
  }
  if (context.output == OutputFormat::kYaml) {
    return PrintMessage(context, *response);
  }
  TextTable table;
  table.titles = {"job",        "what",     "state",     "ended by",
                  "iterations", "measured", "predicted", "certificate"};
  for (const auto& job : response->training_jobs()) {
    if (context.output == OutputFormat::kJson) {
      std::cout << ToJson(job) << "\n";
      continue;
    }
    table.rows.push_back(
        {job.name(), Describe(job.spec()), StateName(job.state()),
         job.has_termination() ? ReasonName(job.termination().reason()) : "-",
         job.has_summary() ? absl::StrCat(job.summary().iterations()) : "-",
         job.summary().has_measured_rate() ? absl::StrFormat("%.6f", job.summary().measured_rate())
                                           : "-",
         absl::StrFormat("%.6f", job.resolution().prediction().rate()),
         job.has_summary() ? VerdictName(job.summary().certificate().verdict()) : "-"});
  }
  if (context.output == OutputFormat::kTable) {
    std::cout << FormatTable(table);
  } else if (context.output == OutputFormat::kCsv) {
    std::cout << FormatCsv(table);
  }
  if (!response->next_page_token().empty() && !context.quiet) {
    std::cerr << "More jobs: --page-token=" << response->next_page_token() << "\n";
  }
  return kSucceeded;
}

}  // namespace

void RegisterGet(CLI::App& program, const Context& context, Action& action) {
  auto job = std::make_shared<std::string>();
  CLI::App* command =
      AddJobCommand(program, "get", "print one job; the exit code is the job's outcome", job);
  command->callback([job, &context, &action] {
    action = [job, &context] {
      return PrintOrFail(context, context.Connect().Get(client::JobName(*job)));
    };
  });
}

void RegisterCancel(CLI::App& program, const Context& context, Action& action) {
  auto job = std::make_shared<std::string>();
  CLI::App* command =
      AddJobCommand(program, "cancel", "end a job within one iteration; its records stay", job);
  command->callback([job, &context, &action] {
    action = [job, &context] {
      const auto cancelled = context.Connect().Cancel(client::JobName(*job));
      if (!cancelled.ok()) {
        return Fail(context, cancelled.status());
      }
      PrintJob(context, *cancelled);
      return kSucceeded;
    };
  });
}

void RegisterDelete(CLI::App& program, const Context& context, Action& action) {
  auto job = std::make_shared<std::string>();
  CLI::App* command = AddJobCommand(program, "delete", "forget an ended job and its records", job);
  command->callback([job, &context, &action] {
    action = [job, &context] {
      const absl::Status status = context.Connect().Delete(client::JobName(*job));
      if (!status.ok()) {
        return Fail(context, status);
      }
      if (!context.quiet) {
        std::cerr << "Deleted " << client::JobName(*job) << "\n";
      }
      return kSucceeded;
    };
  });
}

void RegisterWait(CLI::App& program, const Context& context, Action& action) {
  auto job = std::make_shared<std::string>();
  auto seconds = std::make_shared<double>(0);
  CLI::App* command = AddJobCommand(program, "wait", "wait for a job's end, then print it", job);
  command
      ->add_option("--timeout", *seconds,
                   "give up after this many seconds with exit code 124 (default: never)")
      ->check(CLI::PositiveNumber);
  command->callback([job, seconds, &context, &action] {
    action = [job, seconds, &context] {
      const absl::Duration timeout =
          *seconds > 0 ? absl::Seconds(*seconds) : absl::InfiniteDuration();
      WaitForJob();
      const auto ended = context.Connect().Wait(client::JobName(*job), timeout);
      const ExitCode code = PrintOrFail(context, ended);
      return ended.ok() && !ended->has_end_time() ? kWaitTimedOut : code;
    };
  });
}

void RegisterWatch(CLI::App& program, const Context& context, Action& action) {
  auto options = std::make_shared<FollowOptions>();
  auto job = std::make_shared<std::string>();
  CLI::App* command =
      AddJobCommand(program, "watch", "follow a job's records live, to its end", job);
  command->add_option("--after-iteration", options->after_iteration, "start after this iteration");
  command->add_option("--stride", options->stride,
                      "only the iterations divisible by this, and the last");
  command->add_flag("--with-prediction", options->with_prediction, "add the predicted curve");
  command->add_flag("--with-elapsed", options->with_elapsed, "add the training time");
  command->add_flag("--diagnostics", options->with_diagnostics,
                    "add curvature, flipped activations and distance from the start, of a job "
                    "submitted with --diagnostics-interval");
  command->footer(
      "On a terminal this draws a chart; in a pipe it prints a line a record, with -o json "
      "(yaml) an event a line (document).\n"
      "Examples:\n"
      "  polyak watch my-job\n"
      "  polyak watch my-job --diagnostics --stride 100\n"
      "  polyak watch my-job -o csv > trace.csv");
  command->callback([options, job, &context, &action] {
    action = [options, job, &context] {
      options->name = client::JobName(*job);
      return FollowAndReport(context, *options);
    };
  });
}

void RegisterList(CLI::App& program, const Context& context, Action& action) {
  auto flags = std::make_shared<ListFlags>();
  CLI::App* command = program.add_subcommand("list", "list jobs, newest first");
  command->add_option("--page-size", flags->page_size, "1 to 1000")->capture_default_str();
  command->add_option("--page-token", flags->page_token, "from the page before");
  command->add_option("--filter", flags->filter,
                      "conditions joined by AND, such as state = \"RUNNING\"");
  command->footer(
      "Examples:\n"
      "  polyak list --filter 'state = \"RUNNING\" AND labels.course = \"optimisation\"'\n"
      "  polyak list -o json");
  command->callback(
      [flags, &context, &action] { action = [flags, &context] { return List(context, *flags); }; });
}

}  // namespace polyak::cli
