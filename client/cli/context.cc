#include "client/cli/context.h"

#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "client/cpp/status.h"

namespace polyak::cli {
namespace {

std::string ProblemName(const v1::TrainingJobSpec& spec) {
  switch (spec.problem_case()) {
    case v1::TrainingJobSpec::kQuadratic:
      return "quadratic";
    case v1::TrainingJobSpec::kReluNetwork:
      return "ReLU network";
    case v1::TrainingJobSpec::kDeepLinearNetwork:
      return "deep linear network";
    case v1::TrainingJobSpec::PROBLEM_NOT_SET:
      break;
  }
  return "unknown problem";
}

std::string MethodName(const v1::Optimizer& optimizer) {
  switch (optimizer.method_case()) {
    case v1::Optimizer::kGradientDescent:
      return "gradient descent";
    case v1::Optimizer::kPolyakMomentum:
      return "Polyak's momentum";
    case v1::Optimizer::kNesterovMomentum:
      return "Nesterov's momentum";
    case v1::Optimizer::METHOD_NOT_SET:
      break;
  }
  return "unknown method";
}

// One "name  value" line each.
TextTable JobFacts(const v1::TrainingJob& job) {
  TextTable table;
  table.titles = {"job", job.name()};
  const auto add = [&table](std::string name, std::string value) {
    table.rows.push_back({std::move(name), std::move(value)});
  };
  add("what", Describe(job.spec()));
  add("state", StateName(job.state()));
  if (job.jobs_ahead() > 0) {
    add("jobs ahead", absl::StrCat(job.jobs_ahead()));
  }
  if (!job.pause_reason().empty()) {
    add("paused", job.pause_reason());
  }
  if (job.computations_size() > 1) {
    for (const v1::Computation& computation : job.computations()) {
      add(absl::StrCat("from iteration ", computation.first_iteration()),
          absl::StrCat("computed by ", computation.build(), ", ", computation.processor()));
    }
  }
  if (job.has_termination()) {
    add("ended by", ReasonName(job.termination().reason()));
  }
  if (job.has_error()) {
    add("error", job.error().message());
  }
  if (job.has_resolution()) {
    const auto& resolution = job.resolution();
    const auto& prediction = resolution.prediction();
    add("step size", ShortNumber(resolution.step_size()));
    add("momentum", ShortNumber(resolution.momentum()));
    add("kappa", absl::StrFormat("%.7g", prediction.condition_number()));
    add("predicted rate", absl::StrFormat("%.6f", prediction.rate()));
    add("plan", resolution.plan_reason());
  }
  if (job.has_summary()) {
    const auto& summary = job.summary();
    add("iterations", absl::StrCat(summary.iterations()));
    add("loss", absl::StrCat(ShortNumber(summary.initial_loss()), " -> ",
                             ShortNumber(summary.final_loss())));
    if (summary.has_measured_rate()) {
      const auto& estimate = summary.windowed_rate();
      add("measured rate", absl::StrFormat("%.6f +- %.1g (iterations %d to %d)",
                                           summary.measured_rate(), estimate.standard_error(),
                                           estimate.first_iteration(), estimate.last_iteration()));
    } else {
      add("measured rate", absl::StrCat("none: ", summary.windowed_rate().method()));
    }
    const auto& certificate = summary.certificate();
    std::string verdict = VerdictName(certificate.verdict());
    if (certificate.iterations_checked() > 0) {
      absl::StrAppend(
          &verdict,
          certificate.bound_held() ? ": the bound held at all " : ": the bound broke; checked ",
          certificate.iterations_checked(), " iterations");
    }
    if (certificate.has_least_slack()) {
      absl::StrAppendFormat(&verdict, ", least slack %.3g at %d", certificate.least_slack(),
                            certificate.least_slack_iteration());
    }
    add("certificate", verdict);
    for (const auto& assumption : certificate.assumptions()) {
      if (assumption.status() != v1::Assumption::STATUS_MET) {
        add("", absl::StrCat(
                    absl::StripPrefix(v1::Assumption::Status_Name(assumption.status()), "STATUS_"),
                    ": ", assumption.text()));
      }
    }
  }
  return table;
}

}  // namespace

client::Client Context::Connect() const {
  client::ClientOptions options;
  options.server = server;
  options.give_up_after = absl::Seconds(give_up_after_seconds);
  if (!quiet) {
    options.on_retry = [](const absl::Status& status, absl::Duration pause) {
      std::cerr << absl::StrFormat("%s; trying again in %.1f s\n", status.message(),
                                   absl::ToDoubleSeconds(pause));
    };
  }
  return client::Client(std::move(options));
}

ExitCode Fail(const Context& context, const absl::Status& status) {
  const ExitCode code = ExitCodeOf(status);
  if (absl::IsUnavailable(status) && client::ErrorReason(status).empty()) {
    std::cerr
        << "polyak: can't reach the server at " << context.server << ": " << status.message()
        << "\n  Is polyakd running there? --server=ADDRESS or POLYAK_SERVER names another one.\n";
  } else if (absl::IsUnavailable(status)) {
    std::cerr << "polyak: the server at " << context.server << " can't do this for now ("
              << client::ErrorReason(status) << "): " << client::Explain(status) << "\n";
  } else if (absl::IsDeadlineExceeded(status)) {
    std::cerr << "polyak: the server at " << context.server
              << " took too long to answer; what was asked for may have been done all the same\n";
  } else if (status.message().empty()) {
    std::cerr << "polyak: the server refused the request ("
              << absl::StatusCodeToString(status.code())
              << ") without a word; text that is not valid UTF-8 is one reason\n";
  } else {
    std::cerr << "polyak: " << client::Explain(status) << "\n";
  }
  return code;
}

ExitCode PrintMessage(const Context& context, const google::protobuf::Message& message) {
  if (context.output != OutputFormat::kYaml) {
    std::cout << ToJson(message) << "\n" << std::flush;
    return kSucceeded;
  }
  const auto text = ToYaml(message);
  if (!text.ok()) {
    return Fail(context, text.status());
  }
  // One stream may hold several documents.
  std::cout << "---\n" << *text << std::flush;
  return kSucceeded;
}

ExitCode PrintJob(const Context& context, const v1::TrainingJob& job) {
  switch (context.output) {
    case OutputFormat::kTable:
      std::cout << FormatTable(JobFacts(job));
      break;
    case OutputFormat::kCsv: {
      TextTable table = JobFacts(job);
      table.rows.insert(table.rows.begin(), {"job", job.name()});
      table.titles = {"name", "value"};
      std::cout << FormatCsv(table);
      break;
    }
    case OutputFormat::kJson:
    case OutputFormat::kYaml:
      if (const ExitCode code = PrintMessage(context, job); code != kSucceeded) {
        return code;
      }
      break;
  }
  return ExitCodeOf(job);
}

std::string StateName(v1::TrainingJob::State state) {
  return std::string(absl::StripPrefix(v1::TrainingJob::State_Name(state), "STATE_"));
}

std::string ReasonName(v1::Termination::Reason reason) {
  return std::string(absl::StripPrefix(v1::Termination::Reason_Name(reason), "REASON_"));
}

std::string VerdictName(v1::Certificate::Verdict verdict) {
  return std::string(absl::StripPrefix(v1::Certificate::Verdict_Name(verdict), "VERDICT_"));
}

std::string Describe(const v1::TrainingJobSpec& spec) {
  return absl::StrCat(ProblemName(spec), ", ", MethodName(spec.optimizer()));
}

std::string DescribeEnd(const v1::TrainingJob& job) {
  if (job.has_error()) {
    return absl::StrCat(job.name(), " failed: ", job.error().message());
  }
  const std::string ended =
      absl::StrCat(job.name(), " ended: ", ReasonName(job.termination().reason()));
  return job.has_summary() ? absl::StrCat(ended, " at iteration ", job.summary().iterations())
                           : absl::StrCat(ended, " before its first record");
}

}  // namespace polyak::cli
