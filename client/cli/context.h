#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/cli/exit_code.h"
#include "client/cli/output.h"
#include "client/cli/terminal.h"
#include "client/cpp/client.h"

namespace polyak::cli {

// The global flags, and what commands share. Data goes to stdout, talk to stderr.
struct Context {
  std::string server = "127.0.0.1:50051";
  OutputFormat output = OutputFormat::kTable;
  std::string glyphs = "auto";
  bool no_color = false;
  bool quiet = false;
  double give_up_after_seconds = 60;
  Terminal terminal;

  // A client of `server` that says on stderr when it has to try again.
  client::Client Connect() const;
};

// Says what went wrong on stderr and answers the exit code for it.
ExitCode Fail(const Context& context, const absl::Status& status);

// Prints a message on stdout: a line of JSON, or a YAML document. Returns whether that was
// possible.
ExitCode PrintMessage(const Context& context, const google::protobuf::Message& message);

// Prints one job on stdout in the chosen format. Returns the exit code of the job.
ExitCode PrintJob(const Context& context, const v1::TrainingJob& job);

// "RUNNING" of STATE_RUNNING, "CONVERGED" of REASON_CONVERGED, "PASS" of VERDICT_PASS.
std::string StateName(v1::TrainingJob::State state);
std::string ReasonName(v1::Termination::Reason reason);
std::string VerdictName(v1::Certificate::Verdict verdict);

// What a job is in a few words: "quadratic, Polyak's momentum".
std::string Describe(const v1::TrainingJobSpec& spec);

// How a job ended, in a line: "trainingJobs/a ended: CONVERGED at iteration 312".
std::string DescribeEnd(const v1::TrainingJob& job);

}  // namespace polyak::cli
