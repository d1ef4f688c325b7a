// A data directory whose catalogue is gone: polyakd rebuild makes one from the traces, and the next
// server goes on with every job, whose records are the same bytes.

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/fault/durable_server.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"

namespace polyak {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::BinaryPath;
using testing_support::Outcome;
using testing_support::RunProgram;

constexpr char kQuadratic[] =
    "quadratic { spectrum { generated { dimension: 3 condition_number: 1000 } } } "
    "optimizer { polyak_momentum {} } stopping { max_iterations: 2500 }";
constexpr char kNetwork[] =
    "relu_network { width: 20 dataset { name: 'datasets/digits' first_examples: 5 } } "
    "optimizer { nesterov_momentum {} } stopping { max_iterations: 300 }";
constexpr char kMatrix[] =
    "quadratic { matrix { rows: 2 cols: 2 values: 2 values: 1 values: 1 values: 3 } } "
    "optimizer { gradient_descent {} } stopping { relative_loss: 1e-6 }";

class Rebuild : public ::testing::Test {
 protected:
  client::Client Connect() {
    client::ClientOptions options;
    options.server = server_.address();
    return client::Client(std::move(options));
  }
  // Trains one job a spec, and keeps what is to be found again.
  void Train() {
    client::Client client = Connect();
    const std::map<std::string, const char*> specs = {
        {"a", kQuadratic}, {"b", kNetwork}, {"c", kMatrix}};
    for (const auto& [id, text] : specs) {
      v1::CreateTrainingJobRequest request;
      request.set_training_job_id(id);
      ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, request.mutable_spec()));
      const auto job = client.Submit(request);
      ASSERT_TRUE(job.ok()) << job.status();
      ended_[id] = *client.Wait(job->name(), absl::Seconds(60));
      EXPECT_TRUE(ended_[id].has_start_time());
      EXPECT_EQ(ended_[id].computations_size(), 1);
      records_[id] = Records(client, id);
    }
  }
  static std::string Records(client::Client& client, const std::string& id) {
    v1::ReadIterationsRequest request;
    request.set_name("trainingJobs/" + id);
    request.set_max_records(50'000);
    const auto read = client.ReadIterations(request);
    EXPECT_TRUE(read.ok()) << read.status();
    return read.ok() ? read->iterations().SerializeAsString() : "";
  }
  // By the next server, when it has come to their ends.
  void ExpectEveryJob() {
    client::Client client = Connect();
    for (const auto& [id, records] : records_) {
      const auto job = client.Wait("trainingJobs/" + id, absl::Seconds(60));
      ASSERT_TRUE(job.ok()) << job.status();
      EXPECT_EQ(job->uid(), ended_[id].uid());
      EXPECT_EQ(job->state(), ended_[id].state());
      EXPECT_EQ(job->termination().reason(), ended_[id].termination().reason());
      v1::Summary summary = job->summary();
      *summary.mutable_training_time() = ended_[id].summary().training_time();
      EXPECT_EQ(summary.SerializeAsString(), ended_[id].summary().SerializeAsString());
      EXPECT_EQ(job->spec().SerializeAsString(), ended_[id].spec().SerializeAsString());
      EXPECT_EQ(job->start_time().SerializeAsString(), ended_[id].start_time().SerializeAsString());
      EXPECT_EQ(job->computations_size(), ended_[id].computations_size());
      for (int k = 0; k < std::min(job->computations_size(), ended_[id].computations_size()); ++k) {
        EXPECT_EQ(job->computations(k).SerializeAsString(),
                  ended_[id].computations(k).SerializeAsString());
      }
      EXPECT_TRUE(Records(client, id) == records) << id;
    }
  }
  Outcome RunRebuild(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> arguments = {"rebuild", "--data-dir=" + server_.data_directory()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return RunProgram(BinaryPath("polyakd"), arguments);
  }
  std::filesystem::path Path(const std::string& name) const {
    return std::filesystem::path(server_.data_directory()) / name;
  }
  void RemoveCatalogue() {
    for (const char* const name : {"catalogue.db", "catalogue.db-wal"}) {
      std::filesystem::remove(Path(name));
    }
  }

  DurableServer server_;
  std::map<std::string, v1::TrainingJob> ended_;
  std::map<std::string, std::string> records_;
};

TEST_F(Rebuild, EveryJobIsThereAgainWithTheSameRecords) {
  Train();
  ASSERT_EQ(server_.Stop(), 0);
  RemoveCatalogue();
  const Outcome rebuilt = RunRebuild();
  ASSERT_EQ(rebuilt.exit_code, 0) << rebuilt.errors;
  EXPECT_THAT(rebuilt.output, HasSubstr("restored trainingJobs/a: 2501 records"));
  EXPECT_THAT(rebuilt.output, HasSubstr("3 jobs restored"));
  server_.Start();
  ExpectEveryJob();
}

TEST_F(Rebuild, ADirectoryThatAServerHoldsIsLeftAlone) {
  const Outcome refused = RunRebuild();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("polyakd: rebuild"));
  EXPECT_EQ(server_.Stop(), 0);
}

TEST_F(Rebuild, ACatalogueThatCanBeReadIsReplacedOnlyIfAskedTo) {
  Train();
  ASSERT_EQ(server_.Stop(), 0);
  const Outcome refused = RunRebuild();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("--replace"));
  EXPECT_FALSE(std::filesystem::exists(Path("catalogue.db.old-1")));
  const Outcome replaced = RunRebuild({"--replace"});
  ASSERT_EQ(replaced.exit_code, 0) << replaced.errors;
  EXPECT_THAT(replaced.output, HasSubstr("kept as catalogue.db.old-1"));
  EXPECT_TRUE(std::filesystem::exists(Path("catalogue.db.old-1")));
  server_.Start();
  ExpectEveryJob();
}

TEST_F(Rebuild, ADamagedCatalogueIsReplacedAndKept) {
  Train();
  ASSERT_EQ(server_.Stop(), 0);
  const std::string junk(20'000, 'x');
  std::ofstream(Path("catalogue.db"), std::ios::binary) << junk;
  const Outcome rebuilt = RunRebuild();
  ASSERT_EQ(rebuilt.exit_code, 0) << rebuilt.errors;
  std::ifstream kept(Path("catalogue.db.old-1"), std::ios::binary);
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(kept), {}) == junk);
  server_.Start();
  ExpectEveryJob();
}

// Cut off between the two renames of a replacement, as a kill or a loss of power may leave it.
TEST_F(Rebuild, WhereOneWasCutOffNoServerStartsUntilItIsRunOnceMore) {
  Train();
  ASSERT_EQ(server_.Stop(), 0);
  std::filesystem::rename(Path("catalogue.db"), Path("catalogue.db.old-1"));
  std::ofstream(Path("catalogue.db.rebuilt"), std::ios::binary) << "cut off";
  const Outcome refused = RunProgram(
      BinaryPath("polyakd"), {"--listen=127.0.0.1:0", "--data-dir=" + server_.data_directory()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.output, "");
  EXPECT_THAT(refused.errors, HasSubstr("accepted: polyakd rebuild, run once more"));
  EXPECT_FALSE(std::filesystem::exists(Path("catalogue.db")));
  const Outcome rebuilt = RunRebuild();
  ASSERT_EQ(rebuilt.exit_code, 0) << rebuilt.errors;
  EXPECT_THAT(rebuilt.output, HasSubstr("3 jobs restored"));
  EXPECT_FALSE(std::filesystem::exists(Path("catalogue.db.rebuilt")));
  server_.Start();
  ExpectEveryJob();
}

TEST_F(Rebuild, WithoutItsCatalogueAServerDoesNotBeginAnew) {
  Train();
  ASSERT_EQ(server_.Stop(), 0);
  RemoveCatalogue();
  for (const bool is_empty : {false, true}) {
    if (is_empty) {  // as a crash of the file system leaves one
      std::ofstream(Path("catalogue.db")).flush();
    }
    const Outcome refused =
        RunProgram(BinaryPath("polyakd"), {"--data-dir=" + server_.data_directory()});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("the traces of 3 jobs and no catalogue.db"));
    EXPECT_THAT(refused.errors, HasSubstr("polyakd rebuild"));
  }
  ASSERT_EQ(RunRebuild().exit_code, 0);
  server_.Start();
  ExpectEveryJob();
}

TEST_F(Rebuild, ADirectoryThatNeverHeldAJobIsRefused) {
  const testing_support::TemporaryFolder folder;
  const Outcome refused =
      RunProgram(BinaryPath("polyakd"), {"rebuild", "--data-dir=" + folder.path()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("neither a trace nor a catalogue"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/catalogue.db"));
}

// A server that was told of none of these jobs has set everything aside.
TEST_F(Rebuild, WhatWasSetAsideComesBackIfAskedFor) {
  Train();
  ASSERT_EQ(server_.Stop(), 0);
  RemoveCatalogue();
  std::filesystem::rename(Path("jobs"), Path("elsewhere"));
  server_.Start();
  ASSERT_EQ(server_.Stop(), 0);
  std::filesystem::remove(Path("jobs"));
  std::filesystem::rename(Path("elsewhere"), Path("jobs"));
  server_.Start();
  ASSERT_EQ(server_.Stop(), 0);
  const Outcome without = RunRebuild({"--replace"});
  ASSERT_EQ(without.exit_code, 0) << without.errors;
  EXPECT_THAT(without.output, HasSubstr("0 jobs restored"));
  EXPECT_THAT(without.output, HasSubstr("3 traces in the folder lost"));
  const Outcome with = RunRebuild({"--replace", "--with-lost"});
  ASSERT_EQ(with.exit_code, 0) << with.errors;
  EXPECT_THAT(with.output, HasSubstr("3 jobs restored"));
  server_.Start();
  ExpectEveryJob();
}

TEST_F(Rebuild, ATraceThatCanNotBeReadIsLeftOutAndTheOthersAreNot) {
  Train();
  ASSERT_EQ(server_.Stop(), 0);
  RemoveCatalogue();
  {
    std::fstream trace(Path("jobs/" + ended_["b"].uid() + ".trace"),
                       std::ios::binary | std::ios::in | std::ios::out);
    trace.seekp(20);
    trace << "damage";
  }
  const Outcome rebuilt = RunRebuild();
  ASSERT_EQ(rebuilt.exit_code, 0) << rebuilt.errors;
  EXPECT_THAT(rebuilt.output, HasSubstr("left out " + ended_["b"].uid()));
  EXPECT_THAT(rebuilt.output, HasSubstr("2 jobs restored"));
  EXPECT_THAT(rebuilt.output, Not(HasSubstr("trainingJobs/b")));
  server_.Start();
  records_.erase("b");
  ExpectEveryJob();
  // Its files are kept.
  EXPECT_TRUE(std::filesystem::exists(Path("lost/" + ended_["b"].uid() + ".trace")));
}

// A folder, or a pipe, that has the name of a trace; the disk would fail alike.
TEST_F(Rebuild, WhatTheDiskDoesNotGiveStopsItUnlessItIsToBeLeft) {
  Train();
  ASSERT_EQ(server_.Stop(), 0);
  RemoveCatalogue();
  const std::string uid = std::string(ended_["b"].uid());
  std::filesystem::rename(Path("jobs/" + uid + ".trace"), Path("kept"));
  ASSERT_EQ(mkfifo(Path("jobs/" + uid + ".trace").c_str(), S_IRUSR | S_IWUSR), 0);
  const Outcome refused = RunRebuild();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("1 traces can't be read now"));
  EXPECT_THAT(refused.errors, HasSubstr("it is not a file, but a pipe"));
  EXPECT_FALSE(std::filesystem::exists(Path("catalogue.db")));
  const Outcome rebuilt = RunRebuild({"--leave-unreadable"});
  ASSERT_EQ(rebuilt.exit_code, 0) << rebuilt.errors;
  EXPECT_THAT(rebuilt.output, HasSubstr("2 jobs restored"));
  EXPECT_THAT(rebuilt.output, HasSubstr("left out " + uid));
  server_.Start();
  records_.erase("b");
  ExpectEveryJob();
}

}  // namespace
}  // namespace polyak
