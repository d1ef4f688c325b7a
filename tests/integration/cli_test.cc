// The program `polyak` against a real polyakd, without a terminal: outcomes, exit codes, formats.

#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace polyak {
namespace {

using ::polyak::testing_support::BinaryPath;
using ::polyak::testing_support::Outcome;
using ::polyak::testing_support::Process;
using ::polyak::testing_support::RunProgram;
using ::polyak::testing_support::Server;
using ::polyak::testing_support::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

template <typename Message>
Message FromJson(const std::string& line) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(line, &message);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << line;
  return message;
}

// One server for all tests of this program; each uses ids of its own.
class Cli : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    data_ = new TemporaryFolder;
    server_ = new Server({"--workers=2", "--data-dir=" + data_->path()});
  }
  static void TearDownTestSuite() {
    delete server_;
    delete data_;
  }

  static std::vector<std::string> Environment() { return {"POLYAK_SERVER=" + server_->address()}; }

  // Words separated by spaces.
  static Outcome Run(const std::string& command, const std::string& input = "") {
    return RunProgram(BinaryPath("polyak"), absl::StrSplit(command, ' ', absl::SkipEmpty()),
                      Environment(), input);
  }

  static std::string Write(const std::string& name, const std::string& text) {
    const std::string path =
        ::testing::TempDir() + "/polyak-cli-" + std::to_string(getpid()) + "-" + name;
    std::ofstream(path) << text;
    return path;
  }

  static TemporaryFolder* data_;
  static Server* server_;
};
TemporaryFolder* Cli::data_ = nullptr;
Server* Cli::server_ = nullptr;

constexpr char kEndless[] = "quadratic --kappa 1e9 --dimension 20000 --iterations 100000000";

TEST_F(Cli, SubmitPrintsTheNameOnStandardOutputAndTalksOnStandardError) {
  const Outcome outcome = Run("submit quadratic --id talk --iterations 10");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.output, "trainingJobs/talk\n");
  EXPECT_THAT(outcome.errors, HasSubstr("polyak watch trainingJobs/talk"));
  const Outcome quiet = Run("-q submit quadratic --id quiet --iterations 10");
  EXPECT_EQ(quiet.output, "trainingJobs/quiet\n");
  EXPECT_EQ(quiet.errors, "");
}

TEST_F(Cli, DiagnosticsAreColumnsOfTheLinesAndPartOfTheEvents) {
  ASSERT_EQ(Run("submit relu --first-examples 10 --width 200 --iterations 25 --id diagnosed "
                "--diagnostics-interval 10 --wait")
                .exit_code,
            0);
  const std::vector<std::string> lines =
      Lines(Run("watch diagnosed --diagnostics --stride 5 -o csv").output);
  ASSERT_EQ(lines.size(), 7u);  // titles, 0, 5 .. 25
  EXPECT_EQ(lines[0],
            "iteration,loss,residual_norm,rate_estimate,theory_bound,smallest_eigenvalue,"
            "largest_eigenvalue,condition_number,flipped_share,distance_from_start");
  for (size_t k = 1; k < lines.size(); ++k) {
    const std::vector<std::string> cells = absl::StrSplit(lines[k], ',');
    ASSERT_EQ(cells.size(), 10u);
    const bool diagnosed = cells[0] == "0" || cells[0] == "10" || cells[0] == "20" ||
                           cells[0] == "25";  // the last one
    for (size_t c = 5; c < cells.size(); ++c) {
      EXPECT_EQ(cells[c] != "nan", diagnosed) << lines[k];
    }
    if (diagnosed) {
      EXPECT_EQ(std::stod(cells[7]), std::stod(cells[6]) / std::stod(cells[5]));
    }
  }
  int64_t diagnosed = 0;
  for (const std::string& line : Lines(Run("watch diagnosed --diagnostics -o json").output)) {
    diagnosed +=
        FromJson<v1::WatchTrainingJobResponse>(line).iterations().diagnostics().iteration_size();
  }
  EXPECT_EQ(diagnosed, 4);
  for (const char* const column : {"condition-number", "distance-from-start"}) {
    const Outcome plot = Run(std::string("plot diagnosed --glyphs ascii --column ") + column);
    EXPECT_EQ(plot.exit_code, 0) << plot.errors;
    EXPECT_THAT(plot.output, HasSubstr(std::string("* ") + column));
  }
}

TEST_F(Cli, AJobWithoutDiagnosticsSaysSo) {
  ASSERT_EQ(Run("submit quadratic --iterations 5 --id undiagnosed --wait").exit_code, 0);
  const Outcome outcome = Run("watch undiagnosed --diagnostics");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.errors, HasSubstr("--diagnostics-interval"));
  EXPECT_EQ(Run("submit quadratic --iterations 5 --diagnostics-interval 0").exit_code, 2);
  const Outcome chart = Run("plot undiagnosed --column flipped-share");
  EXPECT_NE(chart.exit_code, 0);
  EXPECT_THAT(chart.errors, HasSubstr("trainingJobs/undiagnosed has no diagnostics; accepted: "));
}

TEST_F(Cli, AJobGoesFromSubmissionToDeletion) {
  ASSERT_EQ(
      Run("submit quadratic --id life --iterations 10 --name hello --label course=a").exit_code, 0);
  const Outcome waited = Run("wait life");
  EXPECT_EQ(waited.exit_code, 0);
  EXPECT_THAT(waited.output, AllOf(HasSubstr("SUCCEEDED"), HasSubstr("MAX_ITERATIONS")));
  const auto job = FromJson<v1::TrainingJob>(Run("get life -o json").output);
  EXPECT_EQ(job.display_name(), "hello");
  EXPECT_EQ(job.labels().at("course"), "a");
  EXPECT_EQ(job.summary().iterations(), 10);
  EXPECT_THAT(
      RunProgram(BinaryPath("polyak"), {"list", "--filter", "labels.course = \"a\""}, Environment())
          .output,
      AllOf(StartsWith("job "), HasSubstr("trainingJobs/life")));
  EXPECT_EQ(Run("cancel life").exit_code, 0);  // an ended job is answered unchanged
  EXPECT_EQ(Run("delete trainingJobs/life").exit_code, 0);
  const Outcome gone = Run("get life");
  EXPECT_EQ(gone.exit_code, 3);
  EXPECT_EQ(gone.output, "");
  EXPECT_THAT(gone.errors, HasSubstr("trainingJobs/life"));
}

TEST_F(Cli, EveryCommandOnAJobThatIsNotThereExitsWith3) {
  for (const char* command : {"get none", "watch none", "wait none", "cancel none", "delete none",
                              "plot none", "parameters none"}) {
    const Outcome outcome = Run(command);
    EXPECT_EQ(outcome.exit_code, 3) << command << outcome.errors;
    EXPECT_EQ(outcome.output, "") << command;
  }
}

TEST_F(Cli, MisuseExitsWith2AndSaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> commands = {
      {"", "subcommand"},
      {"nosuch", "'nosuch' is no command; accepted: submit watch"},
      {"submit", "quadratic, relu, deep-linear or -f FILE"},
      {"submit quadratic --nosuch", "--nosuch"},
      {"submit quadratic --kappa many", "many"},
      {"submit quadratic --optimizer adam", "adam"},
      {"submit quadratic --optimizer gd --momentum 0.5", "--momentum"},
      {"submit quadratic --label nonsense", "KEY=VALUE"},
      {"submit -f /no/such/file", "No such file or directory"},
      {"submit -f /", "it is a directory"},
      {"get", "job"},
      {"wait a --timeout -1", "--timeout"},
      {"list -o xml", "accepted: table, json, yaml, csv"},
      {"plot a -o json", "polyak watch"},
      {"--config /no/such/file info", "/no/such/file"}};
  for (const auto& [command, reason] : commands) {
    const Outcome outcome = Run(command);
    EXPECT_EQ(outcome.exit_code, 2) << command;
    EXPECT_EQ(outcome.output, "") << command;
    EXPECT_THAT(outcome.errors, HasSubstr(reason)) << command;
  }
}

TEST_F(Cli, ARefusedSpecPrintsEveryFieldOnItsOwnLine) {
  const std::string path = Write("refused", R"(
      quadratic { matrix { rows: 2 cols: 2 values: [1, 0.5, 0, 1] } linear_term: [1, 2, 3] }
      optimizer { polyak_momentum { momentum: 1.5 step_size: -1 } }
      stopping { relative_loss: 2 })");
  const Outcome outcome = Run("submit -f " + path);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.output, "");
  for (const char* field :
       {"\n  spec.optimizer.polyak_momentum.momentum: ",
        "\n  spec.optimizer.polyak_momentum.step_size: ", "\n  spec.stopping.relative_loss: ",
        "\n  spec.quadratic.linear_term: "}) {
    EXPECT_THAT(outcome.errors, HasSubstr(field));
  }
}

TEST_F(Cli, ASpecComesFromTextJsonOrStandardInput) {
  const std::string text =
      "quadratic { spectrum { explicit { eigenvalues: [1, 2] } } }\n"
      "optimizer { gradient_descent {} } stopping { max_iterations: 3 }\n";
  const std::string json =
      R"({"quadratic": {"spectrum": {"explicit": {"eigenvalues": [1, 2]}}},
          "optimizer": {"gradientDescent": {}}, "stopping": {"maxIterations": "3"}})";
  for (const Outcome& outcome :
       {Run("submit --wait -o json -f " + Write("spec.txtpb", text)),
        Run("submit --wait -o json -f " + Write("spec.json", json)),
        Run("submit --wait -o json -f -", text), Run("submit --wait -o json -f -", json)}) {
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
    EXPECT_EQ(FromJson<v1::TrainingJob>(outcome.output).summary().iterations(), 3);
  }
}

TEST_F(Cli, ABrokenSpecIsOneErrorWithLineAndColumn) {
  for (const std::string& text :
       {std::string("quadratic {\n  nosuch: 1\n}\n"), std::string("{\n \"nosuch\": 1}\n")}) {
    const Outcome outcome = Run("submit -f -", text);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(Lines(outcome.errors).size(), 1u) << outcome.errors;
    EXPECT_THAT(outcome.errors, AllOf(HasSubstr("line 2, column "), HasSubstr("nosuch")));
  }
}

TEST_F(Cli, TheExitCodeIsTheJobsOutcome) {
  EXPECT_EQ(Run("submit quadratic --tolerance 1e-6 --id converged --wait").exit_code, 0);
  EXPECT_EQ(Run("submit quadratic --iterations 5 --id all --wait").exit_code, 0);
  EXPECT_EQ(Run("submit quadratic --step-size 100 --id diverged --wait").exit_code, 6);
  EXPECT_EQ(Run("submit quadratic --iterations 5 --tolerance 1e-6 --id early --wait").exit_code, 8);
  ASSERT_EQ(Run(std::string("submit --id cancelled ") + kEndless).exit_code, 0);
  ASSERT_EQ(Run("cancel cancelled").exit_code, 0);
  EXPECT_EQ(Run("wait cancelled").exit_code, 7);
  for (const std::string command : {"get ", "watch ", "wait "}) {
    EXPECT_EQ(Run(command + "converged").exit_code, 0) << command;
    EXPECT_EQ(Run(command + "diverged").exit_code, 6) << command;
    EXPECT_EQ(Run(command + "cancelled").exit_code, 7) << command;
    EXPECT_EQ(Run(command + "early").exit_code, 8) << command;
  }
}

TEST_F(Cli, AWaitThatTimesOutExitsWith124AndShowsTheJob) {
  ASSERT_EQ(Run(std::string("submit --id slow ") + kEndless).exit_code, 0);
  const Outcome outcome = Run("wait slow --timeout 0.05 -o json");
  EXPECT_EQ(outcome.exit_code, 124);
  EXPECT_FALSE(FromJson<v1::TrainingJob>(outcome.output).has_end_time());
  EXPECT_EQ(Run("delete slow").exit_code, 1);  // it is active
  EXPECT_EQ(Run("cancel slow").exit_code, 0);
}

TEST_F(Cli, AnUnreachableServerExitsWith5AndNamesTheAddress) {
  const Outcome outcome = RunProgram(
      BinaryPath("polyak"), {"--server=unix:/no/such/socket", "--give-up-after=0", "info"});
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_EQ(outcome.output, "");
  EXPECT_THAT(outcome.errors, AllOf(HasSubstr("unix:/no/such/socket"), HasSubstr("polyakd")));
}

TEST_F(Cli, CtrlCEndsAFollowAndTheJobGoesOn) {
  for (const std::string& command : {std::string("submit --follow --id interrupted ") + kEndless,
                                     std::string("watch interrupted")}) {
    Process follow(BinaryPath("polyak"), absl::StrSplit(command, ' '), Environment());
    EXPECT_THAT(follow.ReadLine(), StartsWith("iteration\t"));
    EXPECT_THAT(follow.ReadLine(), StartsWith("0\t"));
    follow.Signal(SIGINT);
    follow.ReadAll();
    EXPECT_EQ(follow.Wait(), 130);
    EXPECT_THAT(follow.Errors(), HasSubstr("the job goes on"));
    EXPECT_EQ(FromJson<v1::TrainingJob>(Run("get interrupted -o json").output).state(),
              v1::TrainingJob::STATE_RUNNING);
  }
  Process wait(BinaryPath("polyak"),
               {"submit", "--wait", "quadratic", "--kappa", "1e9", "--dimension", "20000",
                "--iterations", "100000000"},
               Environment());
  while (wait.Errors().find("Submitted") == std::string::npos) {
    ASSERT_EQ(Run("info").exit_code, 0);  // a round trip at a time until it has submitted
  }
  wait.Signal(SIGINT);
  EXPECT_EQ(wait.Wait(), 130);
  const std::string text = wait.Errors();
  const size_t name = text.find("trainingJobs/");
  EXPECT_EQ(Run("cancel " + text.substr(name, text.find(':', name) - name)).exit_code, 0);
  EXPECT_EQ(Run("cancel interrupted").exit_code, 0);
}

TEST_F(Cli, AReaderThatLeavesEndsTheWatch) {
  ASSERT_EQ(Run(std::string("submit --id piped ") + kEndless).exit_code, 0);
  const Outcome outcome =
      RunProgram("/bin/sh", {"-c", "\"$1\" watch piped | head -n 2", "sh", BinaryPath("polyak")},
                 Environment());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(Lines(outcome.output).size(), 2u);
  EXPECT_EQ(Run("cancel piped").exit_code, 0);
}

// The records of a finished job, read by the library.
v1::IterationBatch Records(const Server& server, const std::string& id) {
  client::ClientOptions options;
  options.server = server.address();
  v1::ReadIterationsRequest request;
  request.set_name(client::JobName(id));
  request.set_with_prediction(true);
  const auto page = client::Client(options).ReadIterations(request);
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? page->iterations() : v1::IterationBatch();
}

TEST_F(Cli, APipedWatchIsALineARecordWithNumbersThatReadBack) {
  ASSERT_EQ(Run("submit quadratic --id lines --iterations 300 --wait").exit_code, 0);
  const v1::IterationBatch expected = Records(*server_, "lines");
  for (const bool csv : {false, true}) {
    const Outcome outcome =
        Run(std::string("watch lines --with-prediction") + (csv ? " -o csv" : ""));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.errors, HasSubstr("ended: MAX_ITERATIONS at iteration 300"));
    const std::vector<std::string> lines = Lines(outcome.output);
    ASSERT_EQ(lines.size(), 302u);
    const char separator = csv ? ',' : '\t';
    EXPECT_EQ(std::vector<std::string>(absl::StrSplit(lines[0], separator)),
              (std::vector<std::string>{"iteration", "loss", "residual_norm", "rate_estimate",
                                        "theory_bound", "predicted_residual_norm"}));
    for (int t = 0; t <= 300; ++t) {
      const std::vector<std::string> cells = absl::StrSplit(lines[t + 1], separator);
      ASSERT_EQ(cells.size(), 6u);
      EXPECT_EQ(cells[0], std::to_string(t));
      EXPECT_EQ(std::strtod(cells[1].c_str(), nullptr), expected.loss(t));
      EXPECT_EQ(std::strtod(cells[2].c_str(), nullptr), expected.residual_norm(t));
      const double rate = std::strtod(cells[3].c_str(), nullptr);
      EXPECT_TRUE(rate == expected.rate_estimate(t) ||
                  (std::isnan(rate) && std::isnan(expected.rate_estimate(t))));
      EXPECT_EQ(std::strtod(cells[4].c_str(), nullptr), expected.theory_bound(t));
      EXPECT_EQ(std::strtod(cells[5].c_str(), nullptr), expected.predicted_residual_norm(t));
    }
  }
}

TEST_F(Cli, AWatchAsJsonIsAnEventALineToTheTerminal) {
  ASSERT_EQ(Run("submit quadratic --id events --iterations 300 --wait").exit_code, 0);
  for (const Outcome& outcome :
       {Run("watch events -o json"),
        Run("submit quadratic --id events-followed --iterations 300 --follow -o json")}) {
    EXPECT_EQ(outcome.exit_code, 0);
    const std::vector<std::string> lines = Lines(outcome.output);
    ASSERT_GE(lines.size(), 3u);
    std::vector<v1::WatchTrainingJobResponse> events;
    int records = 0;
    for (const std::string& line : lines) {
      events.push_back(FromJson<v1::WatchTrainingJobResponse>(line));
      records += events.back().iterations().iteration_size();
    }
    EXPECT_TRUE(events.front().has_snapshot());
    EXPECT_TRUE(events.back().has_terminal());
    EXPECT_EQ(records, 301);
  }
}

TEST_F(Cli, AFollowInAPipeIsTheRecordsAndNothingElse) {
  const Outcome outcome = Run("submit quadratic --id followed --iterations 20 --follow -o csv");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(Lines(outcome.output).size(), 22u) << outcome.output;
}

TEST_F(Cli, EveryCommandWithDataHasJsonThatParses) {
  ASSERT_EQ(Run("submit quadratic --id parsed --iterations 300 --wait").exit_code, 0);
  EXPECT_EQ(FromJson<v1::TrainingJob>(Run("get parsed -o json").output).name(),
            "trainingJobs/parsed");
  EXPECT_EQ(FromJson<v1::TrainingJob>(Run("cancel parsed -o json").output).name(),
            "trainingJobs/parsed");
  const auto info = FromJson<v1::GetServerInfoResponse>(Run("info -o json").output);
  EXPECT_EQ(info.built_in_datasets_size(), 3);
  const auto preview =
      FromJson<v1::PreviewTrainingJobResponse>(Run("preview quadratic --kappa 100 -o json").output);
  EXPECT_NEAR(preview.resolution().prediction().rate(), 0.95, 1e-12);  // (T2)
  const Outcome list = Run("list --page-size 3 -o json");
  EXPECT_EQ(Lines(list.output).size(), 3u);
  for (const std::string& line : Lines(list.output)) {
    EXPECT_THAT(FromJson<v1::TrainingJob>(line).name(), StartsWith("trainingJobs/"));
  }
  EXPECT_THAT(list.errors, HasSubstr("--page-token="));
  const Outcome race = Run("race quadratic --kappa 10 -o json");
  EXPECT_EQ(race.exit_code, 0);
  ASSERT_EQ(Lines(race.output).size(), 2u);
  EXPECT_TRUE(
      FromJson<v1::TrainingJob>(Lines(race.output)[1]).spec().optimizer().has_polyak_momentum());
}

TEST_F(Cli, YamlIsADocumentAMessage) {
  const Outcome race = Run("race quadratic --kappa 10 -o yaml");
  EXPECT_EQ(race.exit_code, 0);
  EXPECT_THAT(race.output, StartsWith("---\nname: trainingJobs/"));
  EXPECT_THAT(race.output, HasSubstr("\n---\nname: trainingJobs/"));
  ASSERT_EQ(Run("submit quadratic --id yaml --iterations 3 --wait").exit_code, 0);
  for (const char* command : {"get yaml -o yaml", "info -o yaml", "list -o yaml",
                              "preview quadratic -o yaml", "watch yaml -o yaml"}) {
    const Outcome outcome = Run(command);
    EXPECT_EQ(outcome.exit_code, 0) << command;
    EXPECT_THAT(outcome.output, StartsWith("---\n")) << command;
  }
}

TEST_F(Cli, ARaceIsOneTableWithTheErrorOfEveryMeasuredRate) {
  const Outcome race = Run("race quadratic --kappa 100");
  EXPECT_EQ(race.exit_code, 0);
  const std::vector<std::string> lines = Lines(race.output);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], AllOf(StartsWith("class"), HasSubstr("iterations to 1e-8")));
  EXPECT_THAT(lines[1], AllOf(HasSubstr("GD"), HasSubstr(" +- "), HasSubstr("held at all")));
  EXPECT_THAT(lines[2], AllOf(HasSubstr("Polyak"), HasSubstr(" +- "), HasSubstr("(predicted ")));
  const Outcome csv = Run("race quadratic --kappa 100 -o csv -q");
  EXPECT_EQ(csv.errors, "");
  EXPECT_THAT(Lines(csv.output)[0], HasSubstr("measured_rate,standard_error"));
}

TEST_F(Cli, PlotPrintsOneChartWithoutEscapesAndEnds) {
  ASSERT_EQ(Run("submit quadratic --id plotted --iterations 300 --wait").exit_code, 0);
  const Outcome ascii = Run("plot plotted --glyphs ascii --width 60 --height 12");
  EXPECT_EQ(ascii.exit_code, 0);
  EXPECT_THAT(ascii.output, AllOf(HasSubstr("residual"), HasSubstr("bound"), HasSubstr("1e-"),
                                  Not(HasSubstr("\033"))));
  for (const char byte : ascii.output) {
    EXPECT_TRUE(byte == '\n' || (byte >= ' ' && byte <= '~'));
  }
  const Outcome braille = Run("plot plotted --glyphs braille");
  EXPECT_THAT(braille.output, HasSubstr("\xe2\xa0"));  // U+2800 and up
}

TEST_F(Cli, ParametersAreSummedUpForPeopleAndListedForPrograms) {
  // Exact in binary: with eigenvalues 1 and 2, w_i shrinks by 1 - lambda_i / 4 a step.
  const std::string spec =
      Write("parameters.txtpb",
            "quadratic { spectrum { explicit { eigenvalues: [1, 2] } } initial_point: [1, 1] } "
            "optimizer { gradient_descent { step_size: 0.25 } } stopping { max_iterations: 3 }");
  ASSERT_EQ(Run("submit -f " + spec + " --id parameters --wait").exit_code, 0);
  const Outcome table = Run("parameters parameters");
  EXPECT_EQ(table.exit_code, 0) << table.errors;
  EXPECT_EQ(table.output,
            "trainingJobs/parameters at iteration 3\n"
            "matrix  rows  columns  Frobenius norm  smallest  largest\n"
            "w       2     1        0.440004        0.125     0.421875\n");
  EXPECT_EQ(Run("parameters parameters -o csv").output,
            "matrix,row,column,value\nw,0,0,0.421875\nw,1,0,0.125\n");
  const auto block =
      FromJson<v1::ReadParametersResponse>(Run("parameters parameters -o json").output);
  EXPECT_EQ(block.values_size(), 2);
  EXPECT_EQ(block.matrices(0).name(), "w");
  EXPECT_THAT(Run("parameters parameters -o yaml").output,
              AllOf(StartsWith("---\nmatrices:"), HasSubstr("values:\n  - 0.421875\n  - 0.125\n")));
}

TEST_F(Cli, AFlagGoesBeforeAConfigurationFile) {
  const std::string path = Write(
      "config.toml", "server = \"" + server_->address() + "\"\noutput = \"json\"\nquiet = true\n");
  const std::vector<std::string> no_server = {"POLYAK_SERVER="};
  const Outcome info = RunProgram(BinaryPath("polyak"), {"--config", path, "info"}, no_server);
  EXPECT_EQ(info.exit_code, 0) << info.errors;
  EXPECT_EQ(FromJson<v1::GetServerInfoResponse>(info.output).built_in_datasets_size(), 3);
  const Outcome table =
      RunProgram(BinaryPath("polyak"), {"--config", path, "-o", "table", "info"}, no_server);
  EXPECT_THAT(table.output, StartsWith("server"));
}

TEST_F(Cli, TalksToAServerOnAUnixSocket) {
  const std::string address =
      "unix:" + ::testing::TempDir() + "/polyak-cli-" + std::to_string(getpid()) + ".sock";
  Process server(BinaryPath("polyakd"), {"--listen=" + address});
  ASSERT_EQ(server.ReadLine(), "grpc " + address);
  EXPECT_EQ(RunProgram(BinaryPath("polyak"), {"--server=" + address, "info"}).exit_code, 0);
  EXPECT_EQ(RunProgram(BinaryPath("polyak"), {"info"}, {"POLYAK_SERVER=" + address}).exit_code, 0);
}

}  // namespace
}  // namespace polyak
