// The service as a client sees it: a real polyakd, the real client library, loopback.

#include <cmath>
#include <cstring>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/client.h"
#include "client/cpp/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace polyak {
namespace {

using ::polyak::testing_support::Server;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

client::Client Connect(const Server& server) {
  client::ClientOptions options;
  options.server = server.address();
  return client::Client(options);
}

v1::TrainingJobSpec Spec(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

constexpr char kQuadratic[] = R"pb(
  quadratic { spectrum { generated { dimension: 10 condition_number: 100 } } }
  optimizer { polyak_momentum {} }
  stopping { max_iterations: 1000 })pb";

// About a minute of work: long enough to be seen running, ended by the tests themselves.
constexpr char kLong[] = R"pb(
  quadratic { spectrum { generated { dimension: 10000 condition_number: 1e8 } } }
  optimizer { gradient_descent {} }
  stopping { max_iterations: 3000000 })pb";

v1::CreateTrainingJobRequest Request(const std::string& spec, const std::string& id = "") {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = Spec(spec);
  request.set_training_job_id(id);
  return request;
}

// Keeps everything a watch delivers, and its order.
class Recorder : public client::WatchHandler {
 public:
  void OnSnapshot(const v1::TrainingJob& /*job*/) override { order += 'S'; }
  void OnIterations(const v1::IterationBatch& part) override {
    order += 'I';
    batch.MergeFrom(part);
  }
  void OnCaughtUp(const v1::CaughtUp& /*caught_up*/) override { order += 'C'; }

  v1::IterationBatch batch;
  std::string order;
};

// Returns when the job has its first record.
void WaitUntilRunning(client::Client& client, const std::string& name) {
  class StopAtFirstRecord : public client::WatchHandler {
   public:
    void OnIterations(const v1::IterationBatch& /*batch*/) override { stop.request_stop(); }
    std::stop_source stop;
  } handler;
  v1::WatchTrainingJobRequest request;
  request.set_name(name);
  EXPECT_EQ(client.Watch(request, handler, handler.stop.get_token()).status().code(),
            absl::StatusCode::kCancelled);
}

v1::TrainingJob Finish(client::Client& client, const std::string& name, Recorder& recorder) {
  v1::WatchTrainingJobRequest request;
  request.set_name(name);
  const auto job = client.Watch(request, recorder);
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? *job : v1::TrainingJob();
}

TEST(Service, TrainsAQuadraticAndStreamsEveryRecordOnce) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(kQuadratic));
  ASSERT_TRUE(job.ok()) << job.status();
  Recorder recorder;
  const v1::TrainingJob ended = Finish(client, job->name(), recorder);
  EXPECT_EQ(ended.state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(ended.termination().reason(), v1::Termination::REASON_MAX_ITERATIONS);
  ASSERT_EQ(recorder.batch.iteration_size(), 1001);
  for (int t = 0; t <= 1000; ++t) {
    ASSERT_EQ(recorder.batch.iteration(t), t);
  }
  EXPECT_EQ(recorder.order.front(), 'S');
  EXPECT_EQ(std::count(recorder.order.begin(), recorder.order.end(), 'C'), 1);
  EXPECT_EQ(ended.summary().final_loss(), recorder.batch.loss(1000));
  EXPECT_EQ(ended.summary().certificate().verdict(), v1::Certificate::VERDICT_PASS);
  // kappa = 100: 1 - 1/(2 sqrt kappa), (T2).
  EXPECT_NEAR(ended.resolution().prediction().rate(), 0.95, 1e-12);
  EXPECT_NEAR(1 - ended.summary().measured_rate(), 0.05, 0.05 * 0.01);
}

constexpr char kDiagnosed[] = R"pb(
  relu_network {
    width: 300
    dataset { synthetic { examples: 8 input_dimension: 6 } }
  }
  optimizer { polyak_momentum {} }
  stopping { max_iterations: 205 }
  diagnostics_interval: 10)pb";

TEST(Service, DiagnosticsComeWithTheRecordsOfTheirIterations) {
  Server server;
  client::Client client = Connect(server);
  for (const char* const plan : {"EXECUTION_PLAN_DENSE", "EXECUTION_PLAN_REDUCED"}) {
    const auto job = client.Submit(Request(absl::StrCat(kDiagnosed, " plan: ", plan)));
    ASSERT_TRUE(job.ok()) << job.status();
    Recorder recorder;
    v1::WatchTrainingJobRequest request;
    request.set_name(job->name());
    request.set_with_diagnostics(true);
    const auto ended = client.Watch(request, recorder);
    ASSERT_TRUE(ended.ok()) << ended.status();
    EXPECT_EQ(recorder.batch.iteration_size(), 206);
    const v1::Diagnostics& diagnostics = recorder.batch.diagnostics();
    ASSERT_EQ(diagnostics.iteration_size(), 22);
    for (int k = 0; k < 22; ++k) {
      EXPECT_EQ(diagnostics.iteration(k), k < 21 ? 10 * k : 205);
      EXPECT_GT(diagnostics.smallest_eigenvalue(k), 0);
      EXPECT_EQ(diagnostics.condition_number(k),
                diagnostics.largest_eigenvalue(k) / diagnostics.smallest_eigenvalue(k));
      EXPECT_GE(diagnostics.flipped_share(k), 0);
      EXPECT_LE(diagnostics.flipped_share(k), 1);
    }
    EXPECT_EQ(diagnostics.flipped_share(0), 0);
    EXPECT_EQ(diagnostics.distance_from_start(0), 0);
    EXPECT_GT(diagnostics.distance_from_start(21), 0);
    EXPECT_EQ(diagnostics.flipped_share(21), ended->summary().flipped_share());
    // By pages the same, and none unasked.
    v1::ReadIterationsRequest page;
    page.set_name(job->name());
    page.set_after_iteration(99);
    page.set_max_records(51);
    EXPECT_FALSE(client.ReadIterations(page)->iterations().has_diagnostics());
    page.set_with_diagnostics(true);
    const auto part = client.ReadIterations(page);
    ASSERT_TRUE(part.ok()) << part.status();
    ASSERT_EQ(part->iterations().diagnostics().iteration_size(), 6);
    for (int k = 0; k < 6; ++k) {
      EXPECT_EQ(part->iterations().diagnostics().iteration(k), 100 + 10 * k);
      EXPECT_EQ(part->iterations().diagnostics().smallest_eigenvalue(k),
                diagnostics.smallest_eigenvalue(10 + k));
    }
  }
}

TEST(Service, AWatchThatBeginsAnywhereDeliversTheRest) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(kQuadratic));
  ASSERT_TRUE(job.ok()) << job.status();
  Recorder whole;
  Finish(client, job->name(), whole);
  for (const int64_t cursor : {0, 1, 499, 999, 1000}) {
    Recorder part;
    v1::WatchTrainingJobRequest request;
    request.set_name(job->name());
    request.set_after_iteration(cursor);
    ASSERT_TRUE(client.Watch(request, part).ok());
    ASSERT_EQ(part.batch.iteration_size(), 1000 - cursor);
    for (int k = 0; k < part.batch.iteration_size(); ++k) {
      ASSERT_EQ(part.batch.loss(k), whole.batch.loss(static_cast<int>(cursor) + 1 + k));
    }
  }
}

TEST(Service, AStrideKeepsMultiplesTheFirstAndTheLast) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(kQuadratic));
  ASSERT_TRUE(job.ok()) << job.status();
  Recorder recorder;
  v1::WatchTrainingJobRequest request;
  request.set_name(job->name());
  request.set_stride(300);
  ASSERT_TRUE(client.Watch(request, recorder).ok());
  EXPECT_THAT(recorder.batch.iteration(), ::testing::ElementsAre(0, 300, 600, 900, 1000));
}

TEST(Service, ReadIterationsPagesTheSameRecords) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(kQuadratic));
  ASSERT_TRUE(job.ok()) << job.status();
  Recorder whole;
  Finish(client, job->name(), whole);
  v1::IterationBatch joined;
  v1::ReadIterationsRequest request;
  request.set_name(job->name());
  request.set_max_records(137);
  while (true) {
    const auto page = client.ReadIterations(request);
    ASSERT_TRUE(page.ok()) << page.status();
    joined.MergeFrom(page->iterations());
    if (page->end_of_trace()) {
      break;
    }
    ASSERT_GT(page->iterations().iteration_size(), 0);
    request.set_after_iteration(joined.iteration(joined.iteration_size() - 1));
  }
  EXPECT_EQ(joined.SerializeAsString(), whole.batch.SerializeAsString());
}

TEST(Service, ThePredictedCurveEqualsTheRunOfAQuadratic) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(kQuadratic));
  ASSERT_TRUE(job.ok()) << job.status();
  Recorder recorder;
  v1::WatchTrainingJobRequest request;
  request.set_name(job->name());
  request.set_with_prediction(true);
  request.set_with_elapsed(true);
  ASSERT_TRUE(client.Watch(request, recorder).ok());
  ASSERT_EQ(recorder.batch.predicted_residual_norm_size(), 1001);
  ASSERT_EQ(recorder.batch.elapsed_seconds_size(), 1001);
  const double initial = recorder.batch.residual_norm(0);
  for (int t = 0; t <= 1000; ++t) {
    // (T12) under THEOREM parameters: 10 kappa eps |xi_0|, kappa = 100.
    EXPECT_NEAR(recorder.batch.predicted_residual_norm(t), recorder.batch.residual_norm(t),
                1000 * 2.3e-16 * initial);
    if (t > 0) {
      EXPECT_GE(recorder.batch.elapsed_seconds(t), recorder.batch.elapsed_seconds(t - 1));
    }
  }
}

TEST(Service, ARefusedSpecNamesEveryField) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(R"pb(
    quadratic {
      matrix {
        rows: 2
        cols: 2
        values: [ 1, 0.5, 0, 1 ]
      }
      linear_term: [ 1, 2, 3 ]
    }
    optimizer { polyak_momentum { momentum: 1.5 step_size: -1 } }
    stopping { relative_loss: 2 })pb"));
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
  std::vector<std::string> fields;
  for (const auto& violation : client::FieldViolations(job.status())) {
    fields.push_back(violation.field);
    EXPECT_THAT(violation.description, HasSubstr("accepted")) << violation.field;
  }
  EXPECT_THAT(fields, IsSupersetOf({"spec.optimizer.polyak_momentum.momentum",
                                    "spec.optimizer.polyak_momentum.step_size",
                                    "spec.stopping.relative_loss", "spec.quadratic.linear_term"}));
}

TEST(Service, AnIndefiniteMatrixIsRefusedWithItsEigenvalue) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(R"pb(
    quadratic {
      matrix {
        rows: 2
        cols: 2
        values: [ 1, 2, 2, 1 ]
      }
    }
    optimizer { gradient_descent {} })pb"));
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(client::FieldViolations(job.status()).size(), 1u) << job.status();
  EXPECT_EQ(client::FieldViolations(job.status())[0].field, "spec.quadratic.matrix");
  EXPECT_THAT(client::FieldViolations(job.status())[0].description, HasSubstr("-1"));
}

TEST(Service, ARepeatedRequestIdAnswersTheFirstJob) {
  Server server;
  client::Client client = Connect(server);
  v1::CreateTrainingJobRequest request = Request(kQuadratic);
  request.set_request_id("retry-1");
  const auto first = client.Submit(request);
  const auto second = client.Submit(request);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_EQ(first->uid(), second->uid());
  request.mutable_spec()->set_seed(9);
  EXPECT_EQ(client.Submit(request).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST(Service, CancelEndsARunningJobAndKeepsItsRecords) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(kLong, "long"));
  ASSERT_TRUE(job.ok()) << job.status();

  // Cancels as soon as the first record is seen.
  class CancelAtFirstRecord : public Recorder {
   public:
    explicit CancelAtFirstRecord(client::Client& client) : client_(client) {}
    void OnIterations(const v1::IterationBatch& part) override {
      Recorder::OnIterations(part);
      if (!asked_) {
        asked_ = true;
        EXPECT_TRUE(client_.Cancel("trainingJobs/long").ok());
      }
    }

   private:
    client::Client& client_;
    bool asked_ = false;
  } recorder(client);
  const v1::TrainingJob ended = Finish(client, "trainingJobs/long", recorder);
  EXPECT_EQ(ended.state(), v1::TrainingJob::STATE_CANCELLED);
  EXPECT_EQ(ended.termination().reason(), v1::Termination::REASON_CANCELLED);
  EXPECT_EQ(ended.summary().iterations() + 1, recorder.batch.iteration_size());
  const auto again = client.Cancel("trainingJobs/long");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->SerializeAsString().size(), ended.SerializeAsString().size());
}

TEST(Service, DeleteForgetsAnEndedJobAndRefusesAnActiveOne) {
  Server server;
  client::Client client = Connect(server);
  ASSERT_TRUE(client.Submit(Request(kLong, "long")).ok());
  EXPECT_EQ(client.Delete("trainingJobs/long").code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(client.Cancel("trainingJobs/long").ok());
  ASSERT_TRUE(client.Wait("trainingJobs/long", absl::Seconds(60)).ok());
  EXPECT_TRUE(client.Delete("trainingJobs/long").ok());
  const auto gone = client.Get("trainingJobs/long");
  EXPECT_EQ(gone.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client::ErrorReason(gone.status()), "JOB_EXPIRED");
  EXPECT_EQ(client::ErrorReason(client.Get("trainingJobs/never").status()), "JOB_NOT_FOUND");
}

TEST(Service, AFullQueueRefusesAndSaysWhenToComeBack) {
  Server server({"--workers=1", "--queue-capacity=1"});
  client::ClientOptions options;
  options.server = server.address();
  options.give_up_after = absl::ZeroDuration();
  client::Client client(options);
  absl::Status refusal;
  for (int k = 0; k < 3 && refusal.ok(); ++k) {
    refusal = client.Submit(Request(kLong)).status();
  }
  EXPECT_EQ(refusal.code(), absl::StatusCode::kResourceExhausted) << refusal;
  EXPECT_TRUE(client::RetryDelay(refusal).has_value());
}

TEST(Service, AWatchOfAQueuedJobSaysHowManyAreAhead) {
  Server server({"--workers=1"});
  client::Client client = Connect(server);
  ASSERT_TRUE(client.Submit(Request(kLong, "running")).ok());
  for (const char* id : {"next", "last"}) {
    ASSERT_TRUE(client.Submit(Request(kLong, id)).ok());
  }

  class StopAtSnapshot : public Recorder {
   public:
    void OnSnapshot(const v1::TrainingJob& job) override {
      state = job.state();
      jobs_ahead = job.jobs_ahead();
      stop.request_stop();
    }
    std::stop_source stop;
    v1::TrainingJob::State state = v1::TrainingJob::STATE_UNSPECIFIED;
    int64_t jobs_ahead = -1;
  } recorder;
  // Once the first one runs, one job waits before the last.
  WaitUntilRunning(client, "trainingJobs/running");
  v1::WatchTrainingJobRequest request;
  request.set_name("trainingJobs/last");
  EXPECT_EQ(client.Watch(request, recorder, recorder.stop.get_token()).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(recorder.state, v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ(recorder.jobs_ahead, 1);
  for (const char* name : {"trainingJobs/last", "trainingJobs/next", "trainingJobs/running"}) {
    EXPECT_TRUE(client.Cancel(name).ok());
  }
}

TEST(Service, DivergenceIsAResult) {
  Server server;
  client::Client client = Connect(server);
  const auto job = client.Submit(Request(R"pb(
    quadratic { spectrum { explicit { eigenvalues: [ 1, 10 ] } } }
    optimizer { gradient_descent { step_size: 1 } })pb"));
  ASSERT_TRUE(job.ok()) << job.status();
  Recorder recorder;
  const v1::TrainingJob ended = Finish(client, job->name(), recorder);
  EXPECT_EQ(ended.state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(ended.termination().reason(), v1::Termination::REASON_DIVERGED);
}

TEST(Service, TheSameSpecGivesTheSameBitsBesideOtherJobs) {
  Server server({"--workers=2"});
  client::Client client = Connect(server);
  const std::string spec = R"pb(
    relu_network {
      dataset { name: "datasets/digits" first_examples: 20 }
      width: 256
    }
    optimizer { polyak_momentum {} }
    stopping { max_iterations: 100 })pb";
  const auto alone = client.Submit(Request(spec));
  ASSERT_TRUE(alone.ok()) << alone.status();
  Recorder first;
  Finish(client, alone->name(), first);
  ASSERT_TRUE(client.Submit(Request(kLong, "noise")).ok());
  const auto beside = client.Submit(Request(spec));
  ASSERT_TRUE(beside.ok()) << beside.status();
  Recorder second;
  Finish(client, beside->name(), second);
  EXPECT_EQ(first.batch.SerializeAsString(), second.batch.SerializeAsString());
  EXPECT_TRUE(client.Cancel("trainingJobs/noise").ok());
}

TEST(Service, PreviewRunsNothing) {
  Server server;
  client::Client client = Connect(server);
  const auto preview = client.Preview(Spec(kQuadratic));
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_NEAR(preview->resolution().prediction().condition_number(), 100, 1e-10);
  EXPECT_GT(preview->forecast().memory_bytes(), 0);
  EXPECT_EQ(client.List({})->training_jobs_size(), 0);
}

TEST(Service, ListPagesNewestFirstAndFilters) {
  Server server;
  client::Client client = Connect(server);
  for (const char* id : {"a", "b", "c"}) {
    auto request = Request(kQuadratic, id);
    (*request.mutable_labels())["course"] = id;
    const auto job = client.Submit(request);
    ASSERT_TRUE(job.ok()) << job.status();
    ASSERT_TRUE(client.Wait(job->name(), absl::Seconds(60)).ok());
  }
  v1::ListTrainingJobsRequest request;
  request.set_page_size(2);
  const auto first = client.List(request);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->training_jobs_size(), 2);
  EXPECT_EQ(first->training_jobs(0).name(), "trainingJobs/c");
  request.set_page_token(first->next_page_token());
  const auto second = client.List(request);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_EQ(second->training_jobs_size(), 1);
  EXPECT_EQ(second->training_jobs(0).name(), "trainingJobs/a");
  EXPECT_EQ(second->next_page_token(), "");
  v1::ListTrainingJobsRequest filtered;
  filtered.set_filter("labels.course = \"b\" AND state = \"SUCCEEDED\"");
  const auto one = client.List(filtered);
  ASSERT_TRUE(one.ok()) << one.status();
  ASSERT_EQ(one->training_jobs_size(), 1);
  EXPECT_EQ(one->training_jobs(0).name(), "trainingJobs/b");
}

TEST(Service, SigtermEndsWatchesWithoutTerminalAndExitsZero) {
  Server server;
  client::ClientOptions options;
  options.server = server.address();
  options.give_up_after = absl::ZeroDuration();
  client::Client client(options);
  ASSERT_TRUE(client.Submit(Request(kLong, "long")).ok());

  class TermAtFirstRecord : public Recorder {
   public:
    explicit TermAtFirstRecord(Server& server) : server_(server) {}
    void OnIterations(const v1::IterationBatch& part) override {
      Recorder::OnIterations(part);
      server_.process().Signal(SIGTERM);
    }

   private:
    Server& server_;
  } recorder(server);
  v1::WatchTrainingJobRequest request;
  request.set_name("trainingJobs/long");
  const auto job = client.Watch(request, recorder);
  EXPECT_EQ(job.status().code(), absl::StatusCode::kUnavailable) << job.status();
  EXPECT_EQ(server.process().Wait(), 0) << server.process().Errors();
}

TEST(Service, InfoNamesPlansLimitsAndData) {
  Server server;
  const auto info = Connect(server).ServerInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->plans(), ::testing::UnorderedElementsAre(v1::EXECUTION_PLAN_DENSE,
                                                             v1::EXECUTION_PLAN_REDUCED));
  EXPECT_EQ(info->built_in_datasets_size(), 3);
  EXPECT_FALSE(info->jobs_survive_restart());
  EXPECT_GT(info->limits().memory_bytes(), 0);
}

}  // namespace
}  // namespace polyak
