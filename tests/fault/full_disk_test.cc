// A small disk that another process fills at any moment, often to its last byte, while jobs run and
// requests come in, and frees again. The server is never restarted: jobs wait, say why, go on by
// themselves and end with the records of undisturbed ones; changes are kept or refused.
//
//   POLYAK_FULL_DISKS=200 build/release/bin/polyak_fault_full_disk_test

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "client/cpp/status.h"
#include "gmock/gmock.h"
#include "tests/fault/durable_server.h"
#include "tests/fault/undisturbed.h"
#include "tests/integration/watch_support.h"
#include "tests/support/small_disk.h"

namespace polyak {
namespace {

using ::polyak::testing_support::SmallDisk;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int kDiskMebibytes = 64;
constexpr int kReserveMebibytes = 8;

// A disk of this program's own, mounted while it has one thread.
class FullDisk : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string why;
    disk_ = SmallDisk::Mount(kDiskMebibytes, why);
    if (disk_ == nullptr) {
      constexpr int kNotRun = 77;  // ctest says so, and counts no pass
      std::cout << "not run: " << why << "\n";
      std::exit(kNotRun);
    }
  }
  static void TearDownTestSuite() { disk_.reset(); }

  static std::unique_ptr<SmallDisk> disk_;
};
std::unique_ptr<SmallDisk> FullDisk::disk_;

// About a second of work each, but for the last one.
const std::vector<std::string>& Specs() {
  static const auto* const kSpecs = new std::vector<std::string>{
      Quadratic(200'000),
      R"pb(quadratic { spectrum { generated { dimension: 2000 condition_number: 1e4 } } }
           optimizer { nesterov_momentum {} }
           stopping { max_iterations: 20000 })pb",
      R"pb(relu_network {
             width: 400
             dataset { name: 'datasets/digits' first_examples: 20 }
           }
           optimizer { polyak_momentum {} }
           stopping { max_iterations: 400 })pb",
      R"pb(deep_linear_network {
             width: 20
             depth: 3
             dataset { name: 'datasets/wine' }
           }
           optimizer { polyak_momentum {} }
           stopping { max_iterations: 6000 })pb",
      Quadratic(100),
  };
  return *kSpecs;
}

// Of one matrix: what a worker takes of them it runs in step.
constexpr size_t kSweep = 12;
std::string OfMatrix(size_t k) {
  constexpr int kSize = 24;
  std::string values;
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      absl::StrAppend(&values, values.empty() ? "" : ",", 1.0 / (i + j + 1) + (i == j ? 0.1 : 0));
    }
  }
  return absl::StrCat(
      "quadratic { matrix { rows: ", kSize, " cols: ", kSize, " values: [", values,
      "] } } plan: EXECUTION_PLAN_DENSE optimizer { nesterov_momentum { step_size: ",
      0.05 + 0.04 * static_cast<double>(k),
      " momentum: 0.7 } } stopping { max_iterations: 100000 }");
}

// Those of Specs, then the sweep.
std::vector<std::string> AllSpecs() {
  std::vector<std::string> specs = Specs();
  for (size_t k = 0; k < kSweep; ++k) {
    specs.push_back(OfMatrix(k));
  }
  return specs;
}

struct Tally {
  std::atomic<int> jobs = 0;
  std::atomic<int> cancelled = 0;
  std::atomic<int> refused_creates = 0;
  std::atomic<int> refused_changes = 0;  // cancels and deletes
  std::atomic<bool> stopping = false;
};

// What a refusal or a pause says about the disk.
auto SaysThatTheDiskIsFull() {
  return AnyOf(HasSubstr("stay free"), HasSubstr("No space left"), HasSubstr("disk is full"));
}

// Tells a test of every error that a client would get over in silence, but that of a full disk.
client::ClientOptions Options(const std::string& address, absl::Duration give_up_after) {
  client::ClientOptions options;
  options.server = address;
  options.give_up_after = give_up_after;
  options.on_retry = [](const absl::Status& status, absl::Duration /*pause*/) {
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  };
  return options;
}

// One user: a job from its submission to its deletion, then the next.
class User {
 public:
  User(const std::string& address, const std::vector<Undisturbed>& expected, unsigned number,
       Tally& tally)
      : client_(Options(address, absl::Minutes(2))),
        once_(Options(address, absl::ZeroDuration())),
        expected_(expected),
        number_(number),
        random_(number),
        tally_(tally) {}

  void Run() {
    while (!tally_.stopping && !::testing::Test::HasFailure()) {
      // The first user submits only what is short, and so as often as it can, the last one sweeps.
      if (number_ == kSweeper) {
        LiveSweep();
      } else {
        Live(number_ == 0 ? Specs().size() - 1 : random_() % (Specs().size() - 1));
      }
    }
  }
  static constexpr unsigned kSweeper = 4;

 private:
  void Live(size_t spec) { Follow(spec, Create(spec)); }
  void LiveSweep() {
    std::vector<v1::TrainingJob> created;
    for (size_t k = 0; k < kSweep; ++k) {
      created.push_back(Create(Specs().size() + k));
    }
    for (size_t k = 0; k < kSweep; ++k) {
      Follow(Specs().size() + k, created[k]);
    }
  }

  // A job to its deletion. Nothing for one that was not created.
  void Follow(size_t spec, const v1::TrainingJob& created) {
    if (created.name().empty()) {
      return;
    }
    const bool cancel = number_ != 0 && random_() % 8 == 0;
    if (cancel) {
      ++tally_.cancelled;
      Insist([&] { return once_.Cancel(created.name()).status(); });
    }
    Recorder recorder;
    const bool watch = random_() % 2 == 1;
    const auto ended = watch ? client_.Watch(Watching(created.name()), recorder)
                             : client_.Wait(created.name(), absl::InfiniteDuration());
    ASSERT_TRUE(ended.ok()) << created.name() << " " << ended.status();
    EXPECT_EQ(ended->uid(), created.uid());
    EXPECT_EQ(ended->pause_reason(), "");
    const std::string records = ReadAll(client_, created.name()).SerializeAsString();
    if (ended->state() == v1::TrainingJob::STATE_CANCELLED) {
      EXPECT_TRUE(cancel);
      EXPECT_TRUE(IsPrefix(records, expected_[spec].records)) << specs_[spec];
    } else {
      EXPECT_TRUE(records == expected_[spec].records) << specs_[spec];
      EXPECT_EQ(OutcomeOf(*ended), expected_[spec].outcome) << ended->error().ShortDebugString();
    }
    if (watch) {
      EXPECT_TRUE(recorder.records.SerializeAsString() == records) << "as watched";
    }
    Insist([&] { return once_.Delete(created.name()); });
    EXPECT_TRUE(absl::IsNotFound(once_.Get(created.name()).status()));
  }

  // Tries until the job is acknowledged. A create that is refused leaves nothing behind: neither
  // its name is known, nor is it taken.
  v1::TrainingJob Create(size_t spec) {
    const std::string id = absl::StrCat("user-", number_, "-", ++jobs_);
    while (!tally_.stopping && !::testing::Test::HasFailure()) {
      const auto created = once_.Submit(Request(specs_[spec], id));
      const auto kept = once_.Get(client::JobName(id));
      if (created.ok()) {
        ++tally_.jobs;
        EXPECT_TRUE(kept.ok() && kept->uid() == created->uid()) << kept.status();
        return *created;
      }
      ++tally_.refused_creates;
      EXPECT_TRUE(absl::IsResourceExhausted(created.status())) << created.status();
      EXPECT_THAT(std::string{created.status().message()}, SaysThatTheDiskIsFull());
      EXPECT_TRUE(client::RetryDelay(created.status()).has_value());
      EXPECT_TRUE(absl::IsNotFound(kept.status())) << kept.status();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return {};
  }

  // Asks again while the disk is full: nothing else may be the answer, in the end not NOT_FOUND
  // either, since what was refused was not done.
  void Insist(const std::function<absl::Status()>& change) {
    absl::Status status = change();
    while (absl::IsResourceExhausted(status)) {
      ++tally_.refused_changes;
      EXPECT_THAT(std::string{status.message()}, SaysThatTheDiskIsFull());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      status = change();
    }
    EXPECT_TRUE(status.ok()) << status;
  }

  client::Client client_;
  client::Client once_;  // tries nothing twice
  const std::vector<std::string> specs_ = AllSpecs();
  const std::vector<Undisturbed>& expected_;
  const unsigned number_;
  int jobs_ = 0;
  std::mt19937 random_;
  Tally& tally_;
};

// Names of the jobs that wait for room on the disk.
std::vector<std::string> Paused(client::Client& client) {
  const auto jobs = client.List({});
  EXPECT_TRUE(jobs.ok()) << jobs.status();
  std::vector<std::string> names;
  if (jobs.ok()) {
    for (const v1::TrainingJob& job : jobs->training_jobs()) {
      if (!job.pause_reason().empty()) {
        EXPECT_THAT(job.pause_reason(), SaysThatTheDiskIsFull());
        names.push_back(job.name());
      }
    }
  }
  return names;
}

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// How long jobs wait when there is room again: until the last of them goes on, has ended, or is
// deleted already.
double SecondsToResume(client::Client& client, const std::vector<std::string>& paused) {
  constexpr double kGiveUp = 60;  // of a machine that is busy with other things
  const auto begin = Clock::now();
  for (const std::string& name : paused) {
    auto job = client.Get(name);
    while (job.ok() && !job->pause_reason().empty() && SecondsSince(begin) < kGiveUp) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      job = client.Get(name);
    }
    EXPECT_TRUE(job.ok() || absl::IsNotFound(job.status())) << job.status();
    EXPECT_LT(SecondsSince(begin), kGiveUp) << name;
  }
  return SecondsSince(begin);
}

TEST_F(FullDisk, JobsWaitAndGoOnByThemselves) {
  const int fills = CountFromEnvironment("POLYAK_FULL_DISKS", 10);
  const std::vector<Undisturbed> expected = RunUndisturbed(AllSpecs());
  ASSERT_FALSE(HasFailure());
  DurableServer server(
      {"--workers=3", "--log-level=error", absl::StrCat("--disk-reserve=", kReserveMebibytes)},
      disk_->path());
  Tally tally;
  std::vector<std::unique_ptr<User>> users;
  std::vector<std::thread> threads;
  for (unsigned k = 0; k <= User::kSweeper; ++k) {
    users.push_back(std::make_unique<User>(server.address(), expected, k, tally));
    threads.emplace_back([user = users.back().get()] { user->Run(); });
  }
  client::Client client(Options(server.address(), absl::ZeroDuration()));
  std::mt19937 random(13);
  std::vector<double> resumed;  // seconds
  size_t paused_jobs = 0;
  int to_the_last_byte = 0;
  for (int fill = 0; fill < fills && !HasFailure(); ++fill) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 800));
    // Half of the time even the catalogue has no room.
    const int64_t leave =
        fill % 2 == 0 ? 0 : static_cast<int64_t>(random() % (kReserveMebibytes << 20));
    disk_->Fill(leave);
    to_the_last_byte += leave == 0 ? 1 : 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 800));
    const std::vector<std::string> paused = Paused(client);
    disk_->Free();
    if (!paused.empty()) {
      paused_jobs += paused.size();
      resumed.push_back(SecondsToResume(client, paused));
    }
    if ((fill + 1) % 50 == 0) {
      std::printf("%d times full, %d jobs\n", fill + 1, tally.jobs.load());
      std::fflush(stdout);
    }
  }
  tally.stopping = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::sort(resumed.begin(), resumed.end());
  std::printf(
      "%d times full, %d of them to the last byte, %zu with jobs that waited, %zu jobs; they went "
      "on after %.2f s (median), %.2f s (longest); %d jobs, %d cancelled; refused: %d creates, %d "
      "cancels and deletes\n",
      fills, to_the_last_byte, resumed.size(), paused_jobs,
      resumed.empty() ? 0 : resumed[resumed.size() / 2], resumed.empty() ? 0 : resumed.back(),
      tally.jobs.load(), tally.cancelled.load(), tally.refused_creates.load(),
      tally.refused_changes.load());
  EXPECT_GE(resumed.size(), static_cast<size_t>(fills) / 2);
  EXPECT_GT(tally.refused_creates, 0);
  EXPECT_EQ(client.List({})->training_jobs_size(), 0);
  EXPECT_EQ(server.Stop(), 0) << server.process().Errors();
  EXPECT_TRUE(std::filesystem::is_empty(server.data_directory() + "/jobs"));
}

}  // namespace
}  // namespace polyak
