// Every problem by every method and plan, broken off again and again: killed, drained, drained with
// its newest checkpoint damaged afterwards, alone and beside busy neighbours. Each job ends with
// the records, the summary and the final iterate of one that was left alone.
//
//   POLYAK_BREAKS=100 build/release/bin/polyak_fault_breaks_test    (of each problem, plan and
//   method)

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/posix_file_system.h"
#include "server/storage/checkpoint_file.h"
#include "tests/fault/durable_server.h"
#include "tests/integration/watch_support.h"

namespace polyak {
namespace {

constexpr int kBreaksOfOneJob = 5;

struct Problem {
  const char* text;
  const char* plan;
  int64_t iterations;  // about a second of work
};

const std::array<Problem, 6>& Problems() {
  static constexpr char kQuadratic[] =
      "quadratic { spectrum { generated { dimension: 5000 condition_number: 1e4 } } }";
  static constexpr char kRelu[] =
      "relu_network { width: 400 dataset { name: 'datasets/digits' first_examples: 20 } }";
  static constexpr char kDeepLinear[] =
      "deep_linear_network { width: 20 depth: 3 dataset { name: 'datasets/wine' } }";
  static constexpr std::array<Problem, 6> kProblems = {{
      {kQuadratic, "EXECUTION_PLAN_DENSE", 5'000},
      {kRelu, "EXECUTION_PLAN_DENSE", 1'500},
      {kDeepLinear, "EXECUTION_PLAN_DENSE", 15'000},
      {kQuadratic, "EXECUTION_PLAN_REDUCED", 40'000},
      {kRelu, "EXECUTION_PLAN_REDUCED", 5'000},
      {kDeepLinear, "EXECUTION_PLAN_REDUCED", 20'000},
  }};
  return kProblems;
}

constexpr std::array<const char*, 3> kMethods = {"gradient_descent", "polyak_momentum",
                                                 "nesterov_momentum"};

std::string Spec(const Problem& problem, const char* method) {
  return absl::StrCat(problem.text, " optimizer { ", method,
                      " {} } stopping { max_iterations: ", problem.iterations,
                      " } diagnostics_interval: 50 plan: ", problem.plan);
}

// All that a job has come to and that does not depend on time.
struct Outcome {
  std::string records;
  std::string summary;
  std::string iterate;
  bool operator==(const Outcome&) const = default;
};

Outcome OutcomeOf(client::Client& client, v1::TrainingJob job) {
  job.mutable_summary()->clear_training_time();
  Outcome outcome;
  outcome.records = ReadAll(client, job.name(), true).SerializeAsString();
  outcome.summary =
      absl::StrCat(v1::TrainingJob::State_Name(job.state()), " ",
                   job.termination().ShortDebugString(), " ", job.summary().SerializeAsString());
  const absl::Status read =
      client.ReadParameters(job.name(), [&](const v1::ReadParametersResponse& block) {
        absl::StrAppend(&outcome.iterate, block.SerializeAsString());
      });
  EXPECT_TRUE(read.ok()) << read;
  return outcome;
}

struct Tally {
  int kills = 0;
  int drains = 0;
  int damaged = 0;  // drains with a damaged checkpoint
  int jobs = 0;
  int breaks() const { return kills + drains + damaged; }
};

// Of a checkpoint.
int64_t Iteration(const std::string& path) {
  base::PosixFileSystem files;
  const auto file = files.Open(path, base::FileSystem::Mode::kRead);
  EXPECT_TRUE(file.ok()) << file.status();
  const auto header = storage::ReadCheckpointHeader(**file);
  EXPECT_TRUE(header.ok()) << header.status();
  return header->head.iteration;
}

// Flips a byte, cuts it or empties it.
void Damage(const std::string& path, std::mt19937& random) {
  const auto size = std::filesystem::file_size(path);
  switch (random() % 3) {
    case 0: {
      std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
      const auto place = static_cast<std::streamoff>(random() % size);
      file.seekg(place);
      const int byte = file.get();
      file.seekp(place);
      file.put(static_cast<char>(byte ^ (1 << (random() % 8))));
      EXPECT_TRUE(file.good());
      break;
    }
    case 1:
      std::filesystem::resize_file(path, random() % size);
      break;
    default:
      std::filesystem::resize_file(path, 0);
  }
}

// Breaks the server off when its job has come to chosen iterations.
class Breaker : public client::WatchHandler {
 public:
  Breaker(DurableServer& server, const v1::TrainingJob& job, std::vector<int64_t> places,
          std::mt19937& random, Tally& tally)
      : server_(server), job_(job), places_(std::move(places)), random_(random), tally_(tally) {
    std::sort(places_.begin(), places_.end(), std::greater<>());
  }

  void OnIterations(const v1::IterationBatch& batch) override {
    records.MergeFrom(batch);
    if (places_.empty() || records.iteration(records.iteration_size() - 1) < places_.back()) {
      return;
    }
    while (!places_.empty() && places_.back() <= records.iteration(records.iteration_size() - 1)) {
      places_.pop_back();
    }
    client::Client client = Connect(server_.address());
    const auto job = client.Get(job_.name());
    ASSERT_TRUE(job.ok()) << job.status();
    if (job->state() == v1::TrainingJob::STATE_RUNNING) {
      Break();
    }
  }

  v1::IterationBatch records;

 private:
  void Break() {
    switch (random_() % 3) {
      case 0:
        server_.Kill();
        ++tally_.kills;
        break;
      case 1:
        EXPECT_EQ(server_.Stop(), 0);
        ++tally_.drains;
        break;
      default: {
        EXPECT_EQ(server_.Stop(), 0);
        const std::string path =
            absl::StrCat(server_.data_directory(), "/jobs/", job_.uid(), ".checkpoint");
        if (Iteration(path) < job_.spec().stopping().max_iterations()) {  // else it had ended
          Damage(path, random_);
          ++tally_.damaged;
        } else {
          ++tally_.drains;
        }
      }
    }
    server_.Start();
  }

  DurableServer& server_;
  const v1::TrainingJob job_;
  std::vector<int64_t> places_;  // iterations, the next one last
  std::mt19937& random_;
  Tally& tally_;
};

void RunBroken(DurableServer& server, const Problem& problem, const char* method,
               const Outcome& expected, std::mt19937& random, Tally& tally) {
  client::Client client = Connect(server.address());
  const v1::TrainingJob job = Submit(client, Request(Spec(problem, method)));
  std::vector<int64_t> places(kBreaksOfOneJob);
  for (int64_t& place : places) {
    place = static_cast<int64_t>(random() % static_cast<uint64_t>(problem.iterations));
  }
  Breaker breaker(server, job, places, random, tally);
  v1::WatchTrainingJobRequest request = Watching(job.name());
  request.set_with_diagnostics(true);
  const auto ended = client.Watch(request, breaker);
  ASSERT_TRUE(ended.ok()) << ended.status();
  ++tally.jobs;
  const Outcome outcome = OutcomeOf(client, *ended);
  EXPECT_EQ(outcome.summary, expected.summary);
  EXPECT_TRUE(outcome.records == expected.records);
  EXPECT_TRUE(outcome.iterate == expected.iterate);
  EXPECT_TRUE(breaker.records.SerializeAsString() == expected.records) << "as watched";
  EXPECT_TRUE(client.Delete(job.name()).ok());
}

TEST(Breaks, EveryJobEndsWithTheBitsOfOneLeftAlone) {
  const int wanted = CountFromEnvironment("POLYAK_BREAKS", 1);
  std::mt19937 random(11);
  // Eight of them leave a job a tenth of the machine, which takes more time than each test run has.
  const std::array<int, 3> busy_jobs = {0, 1, wanted > 1 ? 8 : 2};
  std::array<std::unique_ptr<DurableServer>, 3> servers;
  for (size_t k = 0; k < busy_jobs.size(); ++k) {
    // The watcher is the one that waits for the end of a drain: no stream ends before it.
    servers[k] = std::make_unique<DurableServer>(
        std::vector<std::string>{"--workers=9", "--drain=0.2", "--log-level=error"});
  }
  Tally all;
  int jobs = 0;
  for (size_t p = 0; p < Problems().size(); ++p) {
    for (size_t method_index = 0; method_index < kMethods.size(); ++method_index) {
      const Problem& problem = Problems().at(p);
      const char* const method = kMethods.at(method_index);
      if (wanted == 1 && (p + method_index) % 2 == 1) {
        continue;  // each test run has time for every other one: each plan with each method
      }
      const std::string spec = Spec(problem, method);
      SCOPED_TRACE(spec);
      DurableServer undisturbed;
      client::Client client = Connect(undisturbed.address());
      const v1::TrainingJob job = Ended(client, Request(spec));
      ASSERT_EQ(job.state(), v1::TrainingJob::STATE_SUCCEEDED) << job.ShortDebugString();
      const Outcome expected = OutcomeOf(client, job);
      Tally tally;
      while (tally.breaks() < wanted && !HasFailure()) {
        const size_t k = static_cast<size_t>(jobs++) % servers.size();
        client::Client busy = Connect(servers[k]->address());
        std::vector<std::string> neighbours;
        for (int neighbour = 0; neighbour < busy_jobs[k]; ++neighbour) {
          neighbours.push_back(Submit(busy, Request(kEndless)).name());
        }
        RunBroken(*servers[k], problem, method, expected, random, tally);
        for (const std::string& neighbour : neighbours) {
          EXPECT_TRUE(busy.Cancel(neighbour).ok());
          EXPECT_TRUE(busy.Wait(neighbour, absl::Minutes(1)).ok());
          EXPECT_TRUE(busy.Delete(neighbour).ok());
        }
      }
      std::printf("%d jobs, %d breaks: %d kills, %d drains, %d with a damaged checkpoint: %s\n",
                  tally.jobs, tally.breaks(), tally.kills, tally.drains, tally.damaged,
                  spec.c_str());
      std::fflush(stdout);
      all.kills += tally.kills;
      all.drains += tally.drains;
      all.damaged += tally.damaged;
    }
  }
  std::printf("%d breaks of %d jobs: %d kills, %d drains, %d with a damaged checkpoint\n",
              all.breaks(), jobs, all.kills, all.drains, all.damaged);
  EXPECT_GT(all.kills, 0);
  EXPECT_GT(all.drains, 0);
  EXPECT_GT(all.damaged, 0);
}

}  // namespace
}  // namespace polyak
