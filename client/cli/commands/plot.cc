#include <cmath>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/commands.h"
#include "client/plot/semilog_chart.h"

namespace polyak::cli {
namespace {

struct PlotFlags {
  std::vector<std::string> jobs;
  std::string column = "residual";
  int width = 0;
  int height = 22;
  bool theory = true;
};

// The names of columns; those after the first two are diagnostics.
const std::vector<std::string>& ColumnNames() {
  static const auto& names = *new std::vector<std::string>{"residual", "loss", "condition-number",
                                                           "flipped-share", "distance-from-start"};
  return names;
}

bool IsDiagnosed(const std::string& column) { return column != "residual" && column != "loss"; }

void AddDiagnostics(const v1::Diagnostics& diagnostics, const std::string& column,
                    plot::Envelope& curve) {
  const auto& values = column == "condition-number" ? diagnostics.condition_number()
                       : column == "flipped-share"  ? diagnostics.flipped_share()
                                                    : diagnostics.distance_from_start();
  for (int k = 0; k < diagnostics.iteration_size(); ++k) {
    curve.Add(diagnostics.iteration(k), values.Get(k));
  }
}

// Reads every stored record, a page at a time.
absl::Status ReadCurves(client::Client& client, const std::string& name, const PlotFlags& flags,
                        std::vector<plot::Envelope>& curves) {
  const bool residual = flags.column == "residual";
  const bool theory = flags.theory && residual && flags.jobs.size() == 1;
  plot::Envelope main(flags.jobs.size() == 1 ? flags.column : name);
  plot::Envelope bound("bound");
  plot::Envelope predicted("predicted");
  v1::ReadIterationsRequest request;
  request.set_name(name);
  request.set_max_records(50'000);
  request.set_with_prediction(theory);
  request.set_with_diagnostics(IsDiagnosed(flags.column));
  while (true) {
    const auto page = client.ReadIterations(request);
    if (!page.ok()) {
      return page.status();
    }
    const auto& batch = page->iterations();
    AddDiagnostics(batch.diagnostics(), flags.column, main);
    for (int k = 0; k < batch.iteration_size(); ++k) {
      if (!IsDiagnosed(flags.column)) {
        main.Add(batch.iteration(k), residual ? batch.residual_norm(k) : batch.loss(k));
      }
      if (theory && !std::isnan(batch.theory_bound(k))) {
        bound.Add(batch.iteration(k), batch.theory_bound(k));
      }
      if (theory && k < batch.predicted_residual_norm_size() &&
          !std::isnan(batch.predicted_residual_norm(k))) {
        predicted.Add(batch.iteration(k), batch.predicted_residual_norm(k));
      }
    }
    if (batch.iteration_size() == 0 || page->end_of_trace()) {
      break;
    }
    request.set_after_iteration(batch.iteration(batch.iteration_size() - 1));
  }
  curves.push_back(std::move(main));
  for (plot::Envelope* extra : {&bound, &predicted}) {
    if (extra->last_iteration() >= 0) {
      curves.push_back(std::move(*extra));
    }
  }
  return absl::OkStatus();
}

ExitCode Plot(const Context& context, const PlotFlags& flags) {
  if (context.output != OutputFormat::kTable) {
    Fail(context, absl::InvalidArgumentError(
                      "plot draws a picture and has no other format; the records as data: polyak "
                      "watch JOB -o csv (json, yaml)"));
    return kUsage;
  }
  client::Client client = context.Connect();
  std::vector<plot::Envelope> curves;
  std::string title;
  for (const std::string& id : flags.jobs) {
    const auto job = client.Get(client::JobName(id));
    if (!job.ok()) {
      return Fail(context, job.status());
    }
    if (IsDiagnosed(flags.column) && job->spec().diagnostics_interval() == 0) {
      return Fail(context, absl::FailedPreconditionError(absl::StrCat(
                               "--column is '", flags.column, "' and ", job->name(),
                               " has no diagnostics; accepted: residual, loss, or a job that was "
                               "submitted with --diagnostics-interval")));
    }
    if (const absl::Status status = ReadCurves(client, job->name(), flags, curves); !status.ok()) {
      return Fail(context, status);
    }
    absl::StrAppend(&title, title.empty() ? "" : " | ", Describe(job->spec()));
  }
  plot::ChartOptions options;
  options.width = flags.width > 0 ? flags.width : context.terminal.width - 1;
  options.height = flags.height;
  options.glyphs = context.terminal.glyphs;
  options.color = context.terminal.color;
  options.title = title;
  std::cout << plot::RenderSemilogChart(curves, options);
  return kSucceeded;
}

}  // namespace

void RegisterPlot(CLI::App& program, const Context& context, Action& action) {
  auto flags = std::make_shared<PlotFlags>();
  CLI::App* command =
      program.add_subcommand("plot", "print one semilog chart of the stored records, and end");
  command->add_option("jobs", flags->jobs, "one job, or several to compare")
      ->required()
      ->type_name("JOB");
  command
      ->add_option("--column", flags->column,
                   "residual, loss, condition-number, flipped-share or distance-from-start; the "
                   "last three of jobs submitted with --diagnostics-interval")
      ->check(CLI::IsMember(ColumnNames()))
      ->capture_default_str();
  command->add_option("--width", flags->width, "columns (default: the terminal's)")
      ->check(CLI::Range(30, 500));
  command->add_option("--height", flags->height, "rows")
      ->check(CLI::Range(8, 200))
      ->capture_default_str();
  command->add_flag("!--no-theory", flags->theory, "leave out the bound and the predicted curve");
  command->footer("Example:\n  polyak plot my-job --glyphs ascii");
  command->callback(
      [flags, &context, &action] { action = [flags, &context] { return Plot(context, *flags); }; });
}

}  // namespace polyak::cli
