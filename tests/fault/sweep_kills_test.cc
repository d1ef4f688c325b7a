// SIGKILL while jobs of one matrix run in step: each goes on from where its own records and
// checkpoint are, and ends with the records that it has on a server that runs one job at a time.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fault/durable_server.h"
#include "tests/fault/undisturbed.h"
#include "tests/integration/watch_support.h"

namespace polyak {
namespace {

std::string OfMatrix(int k) {
  constexpr int kSize = 24;
  std::string values;
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      absl::StrAppend(&values, values.empty() ? "" : ",", 1.0 / (i + j + 1) + (i == j ? 0.1 : 0));
    }
  }
  const std::string parameters =
      absl::StrCat("step_size: ", 0.05 + 0.04 * (k % 12), k % 3 == 0 ? "" : " momentum: 0.7");
  const std::string method = std::vector<std::string>{
      "gradient_descent", "polyak_momentum", "nesterov_momentum"}[static_cast<size_t>(k % 3)];
  return absl::StrCat("quadratic { matrix { rows: ", kSize, " cols: ", kSize, " values: [", values,
                      "] } } plan: EXECUTION_PLAN_DENSE seed: ", k % 2, " optimizer { ", method,
                      " { ", parameters,
                      " } } stopping { max_iterations: ", k % 5 == 0 ? 3000 : 400'000, " }");
}

// How many jobs run at this moment.
int Running(client::Client& client) {
  const auto jobs = client.List({});
  EXPECT_TRUE(jobs.ok()) << jobs.status();
  int count = 0;
  for (const v1::TrainingJob& job : jobs->training_jobs()) {
    count += job.state() == v1::TrainingJob::STATE_RUNNING ? 1 : 0;
  }
  return count;
}

// Kills the server, and starts the next, each time a watched job has come so much further.
class Killer : public client::WatchHandler {
 public:
  Killer(DurableServer& server, client::Client& client, int64_t records_between, int kills)
      : server_(server), client_(client), records_between_(records_between), kills_left_(kills) {}
  void OnIterations(const v1::IterationBatch& batch) override {
    records_ += batch.iteration_size();
    if (kills_left_ > 0 && records_ >= next_) {
      --kills_left_;
      next_ = records_ + records_between_;
      server_.Kill();
      server_.Start();
      most_running_ = std::max(most_running_, Running(client_));
    }
  }
  int kills_left() const { return kills_left_; }
  // Jobs that the catalogue had as running when a server had just started.
  int most_running() const { return most_running_; }

 private:
  DurableServer& server_;
  client::Client& client_;
  const int64_t records_between_;
  int kills_left_;
  int64_t records_ = 0;
  int64_t next_ = 1;
  int most_running_ = 0;
};

TEST(SweepKills, JobsInStepGoOnToTheSameRecords) {
  constexpr int kJobs = 20;
  std::vector<std::string> specs;
  for (int k = 0; k < kJobs; ++k) {
    specs.push_back(OfMatrix(k));
  }
  const std::vector<Undisturbed> expected = RunUndisturbed(specs);
  const int kills = CountFromEnvironment("POLYAK_SWEEP_KILLS", 4);
  DurableServer server({"--workers=1", "--log-level=error"});
  std::vector<std::string> names;
  client::Client client = Connect(server.address());
  const std::string blocker = Submit(client, Request(kEndless)).name();
  for (const std::string& spec : specs) {
    names.push_back(Submit(client, Request(spec)).name());
  }
  ASSERT_TRUE(client.Cancel(blocker).ok());
  client::Client lists = Connect(server.address());
  Killer killer(server, lists, 300'000 / kills, kills);
  const auto watched = client.Watch(Watching(names[1]), killer);
  ASSERT_TRUE(watched.ok()) << watched.status();
  EXPECT_EQ(killer.kills_left(), 0);
  EXPECT_GT(killer.most_running(), 10) << "with one worker: they were not in step";
  for (size_t k = 0; k < names.size(); ++k) {
    const auto ended = client.Wait(names[k], absl::InfiniteDuration());
    ASSERT_TRUE(ended.ok()) << ended.status();
    EXPECT_EQ(OutcomeOf(*ended), expected[k].outcome) << k;
    EXPECT_TRUE(ReadAll(client, names[k]).SerializeAsString() == expected[k].records) << k;
  }
}

}  // namespace
}  // namespace polyak
