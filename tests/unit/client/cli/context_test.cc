#include "client/cli/context.h"

#include <iostream>
#include <sstream>
#include <string>

#include "client/cpp/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What a call prints on one of the standard streams.
class Captured {
 public:
  explicit Captured(std::ostream& stream) : stream_(stream), before_(stream.rdbuf(text_.rdbuf())) {}
  ~Captured() { stream_.rdbuf(before_); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::ostream& stream_;
  std::streambuf* before_;
};

v1::TrainingJob EndedJob() {
  v1::TrainingJob job;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        name: "trainingJobs/a"
        spec {
          quadratic {}
          optimizer { polyak_momentum {} }
          stopping { relative_loss: 1e-8 }
        }
        resolution {
          step_size: 1
          momentum: 0.81
          plan: EXECUTION_PLAN_DENSE
          plan_reason: "DENSE: why"
          prediction { condition_number: 100 rate: 0.95 }
        }
        state: STATE_SUCCEEDED
        termination { reason: REASON_MAX_ITERATIONS }
        summary {
          iterations: 1000
          initial_loss: 2
          final_loss: 1e-12
          measured_rate: 0.9501
          windowed_rate {
            rate: 0.9501
            standard_error: 0.0004
            first_iteration: 200
            last_iteration: 1000
          }
          certificate {
            verdict: VERDICT_PASS
            bound_held: true
            iterations_checked: 990
            least_slack: 3.5
            least_slack_iteration: 12
            assumptions { name: "met" status: STATUS_MET text: "Fine." }
            assumptions { name: "width" status: STATUS_UNMET text: "Too narrow." }
          }
        })pb",
      &job));
  return job;
}

std::string Printed(OutputFormat output, const v1::TrainingJob& job, ExitCode& code) {
  Context context;
  context.output = output;
  const Captured captured(std::cout);
  code = PrintJob(context, job);
  return captured.text();
}

TEST(PrintJob, ShowsAPersonTheOutcomeTheRateWithItsErrorAndTheCertificate) {
  ExitCode code = kSucceeded;
  const std::string text = Printed(OutputFormat::kTable, EndedJob(), code);
  EXPECT_EQ(code, kToleranceMissed);
  for (const char* part :
       {"trainingJobs/a", "quadratic, Polyak's momentum", "SUCCEEDED", "MAX_ITERATIONS", "0.950000",
        "0.950100 +- 0.0004 (iterations 200 to 1000)", "2 -> 1e-12",
        "PASS: the bound held at all 990 iterations, least slack 3.5 at 12", "UNMET: Too narrow.",
        "DENSE: why"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("Fine.")));
}

TEST(PrintJob, SaysWhyThereIsNoRateOrWhatWentWrong) {
  v1::TrainingJob job = EndedJob();
  job.mutable_summary()->clear_measured_rate();
  job.mutable_summary()->mutable_windowed_rate()->set_method("window too short");
  job.set_state(v1::TrainingJob::STATE_FAILED);
  job.mutable_error()->set_message("no memory");
  ExitCode code = kSucceeded;
  const std::string text = Printed(OutputFormat::kTable, job, code);
  EXPECT_EQ(code, kError);
  EXPECT_THAT(text, HasSubstr("none: window too short"));
  EXPECT_THAT(text, HasSubstr("no memory"));
}

TEST(PrintJob, PrintsJsonThatReadsBackAsTheJob) {
  ExitCode code = kSucceeded;
  const std::string text = Printed(OutputFormat::kJson, EndedJob(), code);
  EXPECT_EQ(code, kToleranceMissed);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  v1::TrainingJob back;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(text, &back).ok());
  EXPECT_EQ(back.SerializeAsString(), EndedJob().SerializeAsString());
}

TEST(PrintJob, PrintsAYamlDocumentAndCsvOfNamesAndValues) {
  ExitCode code = kSucceeded;
  EXPECT_EQ(Printed(OutputFormat::kYaml, EndedJob(), code).substr(0, 26),
            "---\nname: trainingJobs/a\ns");
  EXPECT_EQ(code, kToleranceMissed);
  EXPECT_EQ(Printed(OutputFormat::kCsv, EndedJob(), code).substr(0, 31),
            "name,value\njob,trainingJobs/a\nw");
}

TEST(Fail, SaysOnStandardErrorWhatToDoAboutAServerThatIsNotThere) {
  Context context;
  context.server = "127.0.0.1:9";
  const Captured output(std::cout);
  const Captured errors(std::cerr);
  EXPECT_EQ(Fail(context, absl::UnavailableError("refused")), kUnreachable);
  EXPECT_EQ(output.text(), "");
  EXPECT_THAT(errors.text(), HasSubstr("127.0.0.1:9"));
  EXPECT_THAT(errors.text(), HasSubstr("refused"));
  EXPECT_THAT(errors.text(), HasSubstr("POLYAK_SERVER"));
}

TEST(Fail, ToldByAServerThatItCantAnswerForNowGivesItsWords) {
  google::rpc::ErrorInfo info;
  info.set_reason("STORE_UNAVAILABLE");
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  const absl::Status status = client::ToAbslStatus(
      {grpc::StatusCode::UNAVAILABLE, "open x.trace: Is a directory", details.SerializeAsString()});
  const Captured errors(std::cerr);
  EXPECT_EQ(Fail(Context(), status), kUnreachable);
  EXPECT_EQ(errors.text(),
            "polyak: the server at 127.0.0.1:50051 can't do this for now (STORE_UNAVAILABLE): open "
            "x.trace: Is a directory\n");
}

TEST(Fail, OtherErrorsAreOneLine) {
  const Captured errors(std::cerr);
  EXPECT_EQ(Fail(Context(), absl::NotFoundError("no such job")), kNotFound);
  EXPECT_EQ(errors.text(), "polyak: no such job\n");
}

TEST(Names, AreTheEnumsWithoutTheirPrefix) {
  EXPECT_EQ(StateName(v1::TrainingJob::STATE_RUNNING), "RUNNING");
  EXPECT_EQ(ReasonName(v1::Termination::REASON_TIME_LIMIT), "TIME_LIMIT");
  EXPECT_EQ(VerdictName(v1::Certificate::VERDICT_NOT_APPLICABLE), "NOT_APPLICABLE");
}

TEST(DescribeEnd, ClaimsNoReasonAndNoIterationThatThereIsNot) {
  EXPECT_EQ(DescribeEnd(EndedJob()), "trainingJobs/a ended: MAX_ITERATIONS at iteration 1000");
  v1::TrainingJob job;
  job.set_name("trainingJobs/a");
  job.set_state(v1::TrainingJob::STATE_CANCELLED);
  job.mutable_termination()->set_reason(v1::Termination::REASON_CANCELLED);
  EXPECT_EQ(DescribeEnd(job), "trainingJobs/a ended: CANCELLED before its first record");
  job.set_state(v1::TrainingJob::STATE_FAILED);
  job.clear_termination();
  job.mutable_error()->set_message("the values of datasets/x are damaged");
  EXPECT_EQ(DescribeEnd(job), "trainingJobs/a failed: the values of datasets/x are damaged");
}

TEST(Describe, NamesProblemAndMethod) {
  v1::TrainingJobSpec spec;
  EXPECT_EQ(Describe(spec), "unknown problem, unknown method");
  spec.mutable_relu_network();
  spec.mutable_optimizer()->mutable_gradient_descent();
  EXPECT_EQ(Describe(spec), "ReLU network, gradient descent");
  spec.mutable_deep_linear_network();
  spec.mutable_optimizer()->mutable_nesterov_momentum();
  EXPECT_EQ(Describe(spec), "deep linear network, Nesterov's momentum");
}

}  // namespace
}  // namespace polyak::cli
