// A server that may use a little of the disk only, and one that keeps nothing for long.

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "client/cpp/client.h"
#include "client/cpp/status.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace polyak {
namespace {

using ::testing::HasSubstr;
using testing_support::Server;
using testing_support::TemporaryFolder;

// A fifth of a MiB of records.
constexpr char kSpec[] =
    "quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } "
    "optimizer { polyak_momentum {} } stopping { max_iterations: 8000 }";

v1::TrainingJobSpec Spec(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec));
  return spec;
}

client::Client Connect(const Server& server) {
  client::ClientOptions options;
  options.server = server.address();
  return client::Client(std::move(options));
}

absl::Status Train(client::Client& client, const std::string& id) {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = Spec(kSpec);
  request.set_training_job_id(id);
  const auto job = client.Submit(request);
  return job.ok() ? client.Wait(job->name(), absl::Seconds(60)).status() : job.status();
}

// Whether the server forgets the job within a minute.
bool Forgets(client::Client& client, const std::string& name) {
  for (int look = 0; look < 600; ++look) {
    const auto job = client.Get(name);
    if (!job.ok()) {
      EXPECT_EQ(job.status().code(), absl::StatusCode::kNotFound) << job.status();
      EXPECT_THAT(std::string{job.status().message()}, HasSubstr("has aged out"));
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

int64_t BytesBelow(const std::string& folder) {
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::error_code gone;
    const auto size = entry.file_size(gone);
    bytes += gone ? 0 : static_cast<int64_t>(size);
  }
  return bytes;
}

TEST(Retention, OldJobsMakeRoomForNewOnes) {
  const TemporaryFolder folder;
  const Server server({"--data-dir=" + folder.path(), "--disk=1", "--workers=1"});
  client::Client client = Connect(server);
  for (int k = 0; k < 12; ++k) {
    // A job that finds no room waits for it; one that would be accepted later is tried again.
    ASSERT_TRUE(Train(client, "job-" + std::to_string(k)).ok());
  }
  EXPECT_TRUE(Forgets(client, "trainingJobs/job-0"));
  EXPECT_TRUE(Forgets(client, "trainingJobs/job-6"));
  EXPECT_TRUE(client.Get("trainingJobs/job-11").ok());
  EXPECT_LE(BytesBelow(folder.path() + "/jobs"), 1 << 20);
}

TEST(Retention, AJobThatCouldNeverFitIsRefused) {
  const TemporaryFolder folder;
  const Server server({"--data-dir=" + folder.path(), "--disk=1", "--workers=1"});
  client::Client client = Connect(server);
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = Spec(kSpec);
  request.mutable_spec()->mutable_stopping()->set_max_iterations(1'000'000);
  const auto refused = client.Submit(request);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(client::Explain(refused.status()), HasSubstr("of disk"));
}

TEST(Retention, JobsAreForgottenWhenTheirTimeIsOver) {
  const TemporaryFolder folder;
  const Server server({"--data-dir=" + folder.path(), "--retention=0.00001"});  // 0.9 s
  client::Client client = Connect(server);
  ASSERT_TRUE(Train(client, "a").ok());
  EXPECT_TRUE(Forgets(client, "trainingJobs/a"));
  for (int look = 0; look < 100 && BytesBelow(folder.path() + "/jobs") > 0; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(BytesBelow(folder.path() + "/jobs"), 0);
}

TEST(Retention, AReserveOfTheDiskIsNotTouched) {
  const TemporaryFolder folder;
  const Server server({"--data-dir=" + folder.path(), "--disk-reserve=1000000000"});
  client::ClientOptions options;
  options.server = server.address();
  options.give_up_after = absl::Seconds(1);
  client::Client client(std::move(options));
  const absl::Status refused = Train(client, "a");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  EXPECT_THAT(std::string{refused.message()}, HasSubstr("stay free"));
}

}  // namespace
}  // namespace polyak
