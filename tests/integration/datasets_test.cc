// Data sets that are sent once and named by jobs: by the library and by the command line, through
// restarts of the server.

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/cpp/status.h"
#include "gmock/gmock.h"
#include "tests/fault/durable_server.h"
#include "tests/integration/watch_support.h"

namespace polyak {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_support::BinaryPath;
using testing_support::Outcome;
using testing_support::RunProgram;

constexpr int kExamples = 40;
constexpr int kInputs = 5;
constexpr int kOutputs = 2;

// Of example i and column j, features first; nothing special.
double Value(int i, int j) { return ((i * 37 + j * 101) % 64 - 31.5) / (8 + j); }

std::vector<double> Values() {
  std::vector<double> values;
  for (int i = 0; i < kExamples; ++i) {
    for (int j = 0; j < kInputs; ++j) {
      values.push_back(Value(i, j));
    }
  }
  for (int i = 0; i < kExamples; ++i) {
    for (int j = 0; j < kOutputs; ++j) {
      values.push_back(Value(i, kInputs + j));
    }
  }
  return values;
}

v1::DatasetHeader Header() {
  v1::DatasetHeader header;
  header.set_examples(kExamples);
  header.set_input_dimension(kInputs);
  header.set_output_dimension(kOutputs);
  return header;
}

v1::CreateTrainingJobRequest Job(int64_t iterations) {
  return Request(
      absl::StrCat("deep_linear_network { width: 12 depth: 3 dataset { first_examples: "
                   "30 } } optimizer { polyak_momentum {} } stopping { max_iterations: ",
                   iterations, " }"));
}

v1::Dataset& DatasetOf(v1::CreateTrainingJobRequest& request) {
  return *request.mutable_spec()->mutable_deep_linear_network()->mutable_dataset();
}

// The same data in the job's own spec.
v1::CreateTrainingJobRequest InlineJob(int64_t iterations) {
  v1::CreateTrainingJobRequest request = Job(iterations);
  auto& data = *DatasetOf(request).mutable_inline_();
  data.mutable_features()->set_rows(kExamples);
  data.mutable_features()->set_cols(kInputs);
  data.mutable_targets()->set_rows(kExamples);
  data.mutable_targets()->set_cols(kOutputs);
  const std::vector<double> values = Values();
  const auto targets = values.begin() + kExamples * kInputs;
  data.mutable_features()->mutable_values()->Assign(values.begin(), targets);
  data.mutable_targets()->mutable_values()->Assign(targets, values.end());
  return request;
}

TEST(Datasets, AJobThatNamesOneEndsLikeOneThatHoldsItThroughKills) {
  constexpr int64_t kIterations = 20'000;
  DurableServer server;
  client::Client client = Connect(server.address());
  const std::string expected =
      ReadAll(client, Ended(client, InlineJob(kIterations)).name()).SerializeAsString();
  const auto stored = client.SendDataset(Header(), Values());
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(client.SendDataset(Header(), Values())->name(), stored->name());
  server.Kill();
  server.Start();
  EXPECT_EQ(client.GetDataset(stored->name())->sha256(), stored->sha256());
  v1::CreateTrainingJobRequest request = Job(kIterations);
  DatasetOf(request).set_name(stored->name());
  const v1::TrainingJob job = Submit(client, request);
  server.Kill();
  server.Start();
  EXPECT_EQ(client.DeleteDataset(stored->name()).code(), absl::StatusCode::kFailedPrecondition);
  const auto ended = client.Wait(job.name(), absl::InfiniteDuration());
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED) << ended->ShortDebugString();
  EXPECT_TRUE(ReadAll(client, job.name()).SerializeAsString() == expected);
  const absl::Status named = client.DeleteDataset(stored->name());
  EXPECT_THAT(std::string{named.message()}, HasSubstr("named by 1 job, " + job.name()));
  ASSERT_TRUE(client.Delete(job.name()).ok());
  EXPECT_TRUE(client.DeleteDataset(stored->name()).ok());
  EXPECT_EQ(client.Submit(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Datasets, ADamagedOneIsToldByNameAndCanBeSentAgainOrDeleted) {
  DurableServer server;
  client::Client client = Connect(server.address());
  const auto stored = client.SendDataset(Header(), Values());
  ASSERT_TRUE(stored.ok()) << stored.status();
  const std::string path = absl::StrCat(server.data_directory(), "/", stored->name(), ".dataset");
  v1::CreateTrainingJobRequest request = Job(100);
  DatasetOf(request).set_name(stored->name());
  v1::CreateTrainingJobRequest accepted = request;
  accepted.set_request_id("accepted-before");
  const v1::TrainingJob before = Ended(client, accepted);
  server.Kill();
  std::filesystem::resize_file(path, 5000);
  server.Start();
  const auto expect_damaged = [&](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_EQ(client::ErrorReason(status), "DATA_DAMAGED");
    EXPECT_THAT(std::string{status.message()},
                AllOf(HasSubstr(stored->name() + " is damaged"), HasSubstr("send it again")));
  };
  expect_damaged(client.Submit(request).status());
  request.set_request_id("never-accepted");
  expect_damaged(client.Submit(request).status());
  request.clear_request_id();
  // Who tries again what was accepted is told of the job there is.
  const auto again = client.Submit(accepted);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->uid(), before.uid());
  EXPECT_TRUE(client.Delete(before.name()).ok());
  expect_damaged(client.Preview(request.spec()).status());
  expect_damaged(client.GetDataset(stored->name()).status());
  ASSERT_TRUE(client.SendDataset(Header(), Values()).ok());
  EXPECT_EQ(Ended(client, request).state(), v1::TrainingJob::STATE_SUCCEEDED);
  const auto jobs = client.List(v1::ListTrainingJobsRequest());
  ASSERT_TRUE(client.Delete(jobs->training_jobs(0).name()).ok());
  server.Kill();
  std::filesystem::resize_file(path, 5000);
  server.Start();
  EXPECT_TRUE(client.DeleteDataset(stored->name()).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(client.DeleteDataset(stored->name()).code(), absl::StatusCode::kNotFound);
}

TEST(Datasets, WithoutADataDirectoryTheyAreKeptInMemory) {
  testing_support::Server server;
  client::Client client = Connect(server.address());
  const auto stored = client.SendDataset(Header(), Values());
  ASSERT_TRUE(stored.ok()) << stored.status();
  v1::CreateTrainingJobRequest request = Job(100);
  DatasetOf(request).set_name(stored->name());
  EXPECT_EQ(ReadAll(client, Ended(client, request).name()).SerializeAsString(),
            ReadAll(client, Ended(client, InlineJob(100)).name()).SerializeAsString());
}

TEST(Datasets, AServerTakesNoMoreThanItIsToldTo) {
  testing_support::Server none({"--datasets=0"});
  client::Client client = Connect(none.address());
  EXPECT_EQ(client.SendDataset(Header(), Values()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client.ServerInfo()->limits().dataset_bytes(), 0);
}

TEST(Datasets, TheCommandLineSendsListsAndDeletes) {
  testing_support::Server server;
  const auto run = [&server](const std::string& command, const std::string& input = "") {
    return RunProgram(BinaryPath("polyak"), absl::StrSplit(command, ' ', absl::SkipEmpty()),
                      {"POLYAK_SERVER=" + server.address()}, input);
  };
  std::string table = "a,b,target\n";
  for (int i = 0; i < 20; ++i) {
    absl::StrAppend(&table, i, ",", i * i % 7, ",", 3 * i - 1, "\n");
  }
  const Outcome sent = run("dataset send - --called twenty", table);
  EXPECT_EQ(sent.exit_code, 0) << sent.errors;
  EXPECT_THAT(sent.output, AllOf(HasSubstr("examples  20"), HasSubstr("features  2"),
                                 HasSubstr("called    twenty")));
  const size_t begin = sent.output.find("datasets/");
  const std::string name = sent.output.substr(begin, 9 + 40);
  EXPECT_THAT(run("dataset list").output, AllOf(HasSubstr(name), HasSubstr("datasets/wine")));
  EXPECT_THAT(run("dataset get " + name + " -o json").output, HasSubstr("\"examples\":\"20\""));
  const Outcome job =
      run("submit quadratic --id twenty --iterations 100 --follow --dataset " + name);
  EXPECT_EQ(job.exit_code, 0) << job.errors;
  const Outcome refused = run("dataset delete " + name);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("trainingJobs/twenty"));
  EXPECT_EQ(run("delete twenty").exit_code, 0);
  EXPECT_EQ(run("dataset delete " + name.substr(9)).exit_code, 0);
  EXPECT_THAT(run("dataset send - --targets 3", table).errors,
              HasSubstr("--targets is 3, and the data have 3 columns"));
  EXPECT_THAT(run("dataset send -", "1,2\n3,x\n").errors, HasSubstr("line 2: 'x'"));
  EXPECT_EQ(run("dataset").exit_code, 2);
}

}  // namespace
}  // namespace polyak
