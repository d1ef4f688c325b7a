// SIGKILL at any moment under a mixed load: creates, watches, waits, paged reads, cancels and
// deletes go on through it. What was acknowledged is kept, and every record of every job is the one
// that a server left alone computes.
//
//   POLYAK_KILLS=1000 build/release/bin/polyak_fault_kills_test

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "tests/fault/durable_server.h"
#include "tests/fault/undisturbed.h"
#include "tests/integration/watch_support.h"

namespace polyak {
namespace {

using Clock = std::chrono::steady_clock;

// From a few milliseconds to about a second each.
const std::vector<std::string>& Specs() {
  static const auto* const kSpecs = new std::vector<std::string>{
      Quadratic(100),
      Quadratic(60'000),
      R"pb(quadratic { spectrum { generated { dimension: 400 condition_number: 1e4 } } }
           optimizer { gradient_descent {} }
           stopping { max_iterations: 20000 })pb",
      R"pb(quadratic { least_squares { dataset { name: 'datasets/diabetes' } } }
           optimizer { nesterov_momentum {} }
           stopping { max_iterations: 30000 })pb",
      R"pb(quadratic { spectrum { generated { dimension: 2000 condition_number: 100 } } }
           optimizer { polyak_momentum {} }
           stopping { max_iterations: 9000 })pb",
      R"pb(relu_network {
             width: 400
             dataset { name: 'datasets/digits' first_examples: 20 }
           }
           optimizer { polyak_momentum {} }
           stopping { max_iterations: 150 })pb",
      R"pb(relu_network {
             width: 200
             dataset { name: 'datasets/digits' first_examples: 10 }
           }
           optimizer { gradient_descent {} }
           stopping { max_iterations: 400 })pb",
      R"pb(deep_linear_network {
             width: 20
             depth: 3
             dataset { name: 'datasets/wine' }
           }
           optimizer { polyak_momentum {} }
           stopping { max_iterations: 1500 })pb",
      R"pb(deep_linear_network {
             width: 16
             depth: 4
             dataset { name: 'datasets/wine' }
           }
           optimizer { nesterov_momentum {} }
           stopping { max_iterations: 1000 })pb",
  };
  return *kSpecs;
}

struct Tally {
  std::atomic<int> jobs = 0;
  std::atomic<int> watched = 0;
  std::atomic<int> cancelled = 0;
  std::atomic<int> creates_in_flight = 0;
  std::atomic<Clock::rep> last_create = 0;  // when one began or was answered
  std::atomic<bool> stopping = false;
};

// One user: a job from its submission to its deletion, then the next.
class User {
 public:
  User(const std::string& address, const std::vector<Undisturbed>& expected, unsigned seed,
       Tally& tally)
      : client_(Options(address)), expected_(expected), random_(seed), tally_(tally) {}

  void Run() {
    while (!tally_.stopping && !::testing::Test::HasFailure()) {
      Live(random_() % Specs().size());
    }
  }

 private:
  static client::ClientOptions Options(const std::string& address) {
    client::ClientOptions options;
    options.server = address;
    options.give_up_after = absl::Seconds(120);
    return options;
  }

  void Live(size_t spec) {
    Touch(1);
    const auto created = client_.Submit(Request(Specs()[spec]));
    Touch(-1);
    ASSERT_TRUE(created.ok()) << created.status();
    ++tally_.jobs;
    const std::string name = created->name();
    const auto kind = random_() % 8;
    if (kind == 0) {
      ++tally_.cancelled;
      const auto answered = client_.Cancel(name);
      ASSERT_TRUE(answered.ok()) << answered.status();
    }
    Recorder recorder;
    const bool watch = kind % 2 == 1;
    const auto ended = watch ? client_.Watch(Watching(name), recorder)
                             : client_.Wait(name, absl::InfiniteDuration());
    ASSERT_TRUE(ended.ok()) << name << " " << ended.status();
    ASSERT_EQ(ended->uid(), created->uid());
    const std::string records = ReadAll(client_, name).SerializeAsString();
    if (ended->state() == v1::TrainingJob::STATE_CANCELLED) {
      EXPECT_EQ(kind, 0u);
      EXPECT_TRUE(IsPrefix(records, expected_[spec].records)) << name << ": " << Specs()[spec];
    } else {
      EXPECT_TRUE(records == expected_[spec].records) << name << ": " << Specs()[spec];
      EXPECT_EQ(OutcomeOf(*ended), expected_[spec].outcome) << name;
    }
    if (watch) {
      ++tally_.watched;
      EXPECT_TRUE(recorder.records.SerializeAsString() == records) << name << ", as watched";
    }
    const absl::Status deleted = client_.Delete(name);
    // A retry after a lost answer finds it gone.
    EXPECT_TRUE(deleted.ok() || absl::IsNotFound(deleted)) << deleted;
  }

  void Touch(int in_flight) {
    tally_.creates_in_flight += in_flight;
    tally_.last_create = Clock::now().time_since_epoch().count();
  }

  client::Client client_;
  const std::vector<Undisturbed>& expected_;
  std::mt19937 random_;
  Tally& tally_;
};

bool JobsRun(const std::string& address) {
  client::ClientOptions options;
  options.server = address;
  client::Client client(options);
  v1::ListTrainingJobsRequest request;
  request.set_filter("state = \"RUNNING\"");
  const auto running = client.List(request);
  return running.ok() && running->training_jobs_size() > 0;
}

TEST(Kills, NothingAcknowledgedIsLostAndEveryRecordIsTheSame) {
  const int kills = CountFromEnvironment("POLYAK_KILLS", 25);
  const std::vector<Undisturbed> expected = RunUndisturbed(Specs());
  ASSERT_FALSE(HasFailure());
  DurableServer server({"--workers=2"});
  Tally tally;
  std::vector<std::unique_ptr<User>> users;
  std::vector<std::thread> threads;
  for (unsigned k = 0; k < 4; ++k) {
    users.push_back(std::make_unique<User>(server.address(), expected, 100 + k, tally));
    threads.emplace_back([user = users.back().get()] { user->Run(); });
  }
  std::mt19937 random(7);
  int with_jobs_running = 0;
  int near_a_create = 0;
  for (int kill = 0; kill < kills && !HasFailure(); ++kill) {
    if (kill % 8 == 0) {  // within 50 ms of a Create
      while (tally.creates_in_flight == 0 && !HasFailure()) {
        std::this_thread::yield();
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 45'000));
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 400));
      bool running = JobsRun(server.address());
      while (kill % 2 == 1 && !running && !HasFailure()) {  // every other one finds a job
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        running = JobsRun(server.address());
      }
      with_jobs_running += running ? 1 : 0;
    }
    const auto since = Clock::now().time_since_epoch() - Clock::duration(tally.last_create);
    near_a_create += since <= std::chrono::milliseconds(50) ? 1 : 0;
    server.Kill();
    server.Start();
    if ((kill + 1) % 100 == 0) {
      std::printf("%d kills, %d jobs\n", kill + 1, tally.jobs.load());
      std::fflush(stdout);
    }
  }
  tally.stopping = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::printf(
      "%d kills: %d while a job ran, %d within 50 ms of a Create; %d jobs, %d of them "
      "watched, %d cancelled\n",
      kills, with_jobs_running, near_a_create, tally.jobs.load(), tally.watched.load(),
      tally.cancelled.load());
  // Every job was deleted by its user: what is left would be one that nobody was told of.
  client::Client client = Connect(server.address());
  EXPECT_EQ(client.List({})->training_jobs_size(), 0);
  EXPECT_GE(with_jobs_running, kills / 2);
  EXPECT_GE(near_a_create, kills / 10);
  // Files of deleted jobs are gone, at the latest after one more start.
  EXPECT_EQ(server.Stop(), 0);
  server.Start();
  EXPECT_EQ(server.Stop(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(server.data_directory() + "/jobs"));
}

}  // namespace
}  // namespace polyak
