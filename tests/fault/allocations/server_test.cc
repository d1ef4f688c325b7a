// A server whose allocations fail, one at a random moment in each of its lives, under creates,
// watches, waits, paged reads, cancels and deletes. It may refuse, fail a request or the job it
// runs, or end; no request stays without an answer, and the next server finds all that was
// acknowledged, with the records of a server left alone.
//
//   POLYAK_ALLOCATIONS=1000 build/release/bin/polyak_fault_server_allocations_test

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "tests/fault/allocations/failing_allocations.h"
#include "tests/fault/allocations/failing_malloc.h"
#include "tests/fault/durable_server.h"
#include "tests/fault/undisturbed.h"
#include "tests/integration/watch_support.h"
#include "tests/support/temporary_folder.h"

namespace polyak {
namespace {

using testing_support::AllocationControl;
using Clock = std::chrono::steady_clock;

constexpr auto kAnswerWithin = std::chrono::seconds(60);
constexpr auto kLook = std::chrono::milliseconds(5);

// Some ten to a few hundred milliseconds each.
const std::vector<std::string>& Specs() {
  static const auto* const kSpecs = new std::vector<std::string>{
      Quadratic(100),
      Quadratic(12'000),
      R"pb(quadratic { least_squares { dataset { name: 'datasets/diabetes' } } }
           optimizer { nesterov_momentum {} }
           stopping { max_iterations: 4000 })pb",
      R"pb(quadratic { spectrum { generated { dimension: 500 condition_number: 100 } } }
           optimizer { polyak_momentum {} }
           stopping { max_iterations: 4000 })pb",
      R"pb(relu_network {
             width: 100
             dataset { name: 'datasets/digits' first_examples: 10 }
           }
           optimizer { polyak_momentum {} }
           stopping { max_iterations: 60 })pb",
      R"pb(deep_linear_network {
             width: 16
             depth: 3
             dataset { name: 'datasets/wine' }
           }
           optimizer { gradient_descent {} }
           stopping { max_iterations: 200 })pb",
  };
  return *kSpecs;
}

// Counters in a file that the server maps too.
class Control {
 public:
  Control() : path_(folder_.path() + "/control") {
    const int file = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    POLYAK_CHECK(file >= 0 && ftruncate(file, sizeof(AllocationControl)) == 0);
    memory_ = mmap(nullptr, sizeof(AllocationControl), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    POLYAK_CHECK(memory_ != MAP_FAILED);
    close(file);
  }
  ~Control() { munmap(memory_, sizeof(AllocationControl)); }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  AllocationControl& operator*() const { return *static_cast<AllocationControl*>(memory_); }
  AllocationControl* operator->() const { return &**this; }
  std::vector<std::string> Environment() const {
    return {absl::StrCat("LD_PRELOAD=", testing_support::BinaryPath("polyak_failing_malloc.so")),
            absl::StrCat("POLYAK_ALLOCATION_CONTROL=", path_)};
  }

 private:
  const testing_support::TemporaryFolder folder_;
  const std::string path_;
  void* memory_ = nullptr;
};

struct Tally {
  std::atomic<int> jobs = 0;
  std::atomic<int> cancelled = 0;
  std::atomic<int> out_of_memory = 0;  // jobs that ended so
  std::atomic<int> refused = 0;        // calls
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
      ++lives_;
    }
  }
  // Jobs that came to their end: they grow as long as every call is answered.
  int lives() const { return lives_; }

 private:
  static client::ClientOptions Options(const std::string& address) {
    client::ClientOptions options;
    options.server = address;
    options.give_up_after = absl::Seconds(120);
    options.call_timeout = absl::Seconds(100);  // of a machine with other work to do
    return options;
  }

  // What a server may say that could not do its work for want of memory: nothing of it means that
  // what was asked for was not done.
  static bool MayHaveFailed(const absl::Status& status) {
    return absl::IsResourceExhausted(status) || absl::IsInternal(status) ||
           absl::IsUnavailable(status) || absl::IsUnknown(status) || absl::IsCancelled(status);
  }
  // The call, until it is not refused any more.
  template <typename Call>
  auto Insist(const Call& call) {
    auto answer = call();
    while (MayHaveFailed(StatusOf(answer)) && !::testing::Test::HasFailure()) {
      ++tally_.refused;
      answer = call();
    }
    return answer;
  }
  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename Value>
  static const absl::Status& StatusOf(const absl::StatusOr<Value>& answer) {
    return answer.status();
  }

  void Live(size_t spec) {
    v1::CreateTrainingJobRequest request = Request(Specs()[spec]);
    request.set_request_id(absl::StrCat("request-", random_(), "-", random_()));
    const auto created = Insist([&] { return client_.Submit(request); });
    ASSERT_TRUE(created.ok()) << created.status();
    ++tally_.jobs;
    const std::string name = created->name();
    const auto kind = random_() % 6;
    if (kind == 0) {
      ++tally_.cancelled;
      const auto answered = Insist([&] { return client_.Cancel(name); });
      ASSERT_TRUE(answered.ok()) << answered.status();
    }
    Recorder recorder;
    const bool watch = kind % 2 == 1;
    const auto ended = Insist([&] {
      recorder.records.Clear();
      return watch ? client_.Watch(Watching(name), recorder)
                   : client_.Wait(name, absl::InfiniteDuration());
    });
    ASSERT_TRUE(ended.ok()) << name << " " << ended.status();
    ASSERT_EQ(ended->uid(), created->uid());
    const v1::IterationBatch read = Records(name);
    CheckEnd(*ended, kind == 0, read.SerializeAsString(), expected_[spec]);
    if (watch) {
      EXPECT_TRUE(recorder.records.SerializeAsString() == read.SerializeAsString())
          << recorder.records.iteration_size() << " records as watched, " << read.iteration_size()
          << " as read: " << ended->ShortDebugString();
    }
    const absl::Status deleted = Insist([&] { return client_.Delete(name); });
    // A retry after a lost answer finds it gone.
    EXPECT_TRUE(deleted.ok() || absl::IsNotFound(deleted)) << deleted;
  }

  v1::IterationBatch Records(const std::string& name) {
    v1::IterationBatch all;
    v1::ReadIterationsRequest request;
    request.set_name(name);
    while (true) {
      const auto page = Insist([&] { return client_.ReadIterations(request); });
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) {
        return all;
      }
      all.MergeFrom(page->iterations());
      if (page->end_of_trace()) {
        return all;
      }
      request.set_after_iteration(all.iteration(all.iteration_size() - 1));
    }
  }

  void CheckEnd(const v1::TrainingJob& ended, bool cancelled, const std::string& records,
                const Undisturbed& expected) {
    if (ended.state() == v1::TrainingJob::STATE_SUCCEEDED) {
      EXPECT_TRUE(records == expected.records) << ended.name();
      EXPECT_EQ(OutcomeOf(ended), expected.outcome) << ended.name();
      return;
    }
    EXPECT_TRUE(IsPrefix(records, expected.records)) << ended.ShortDebugString();
    if (ended.state() == v1::TrainingJob::STATE_FAILED) {
      ++tally_.out_of_memory;
      EXPECT_EQ(ended.error().code(), static_cast<int>(absl::StatusCode::kResourceExhausted))
          << ended.error().message();
    } else {
      EXPECT_EQ(ended.state(), v1::TrainingJob::STATE_CANCELLED);
      EXPECT_TRUE(cancelled);
    }
  }

  client::Client client_;
  const std::vector<Undisturbed>& expected_;
  std::mt19937 random_;
  Tally& tally_;
  std::atomic<int> lives_ = 0;
};

class ServerAllocations : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { testing_support::SkipUnderSanitizers(); }

  ServerAllocations() {
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);  // aborts are expected, and their files are large
  }

  static bool HasEnded(const DurableServer& server) {
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(server.process().pid()), &info,
                  WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
  }
  // Until the server has ended, or something else has happened.
  template <typename Happened>
  static bool WaitFor(const DurableServer& server, const Happened& happened) {
    const auto end = Clock::now() + kAnswerWithin;
    while (!HasEnded(server) && !happened() && !HasFailure()) {
      if (Clock::now() > end) {
        return false;
      }
      std::this_thread::sleep_for(kLook);
    }
    return true;
  }
};

TEST_F(ServerAllocations, NothingAcknowledgedIsLostAndEveryRecordIsTheSame) {
  const int failures = CountFromEnvironment("POLYAK_ALLOCATIONS", 20);
  constexpr int64_t kRange = 50'000;  // about what the server asks for in a second of this load
  const std::vector<Undisturbed> expected = RunUndisturbed(Specs());
  ASSERT_FALSE(HasFailure());
  const Control control;
  DurableServer server({"--workers=2"}, std::filesystem::temp_directory_path(),
                       control.Environment());
  Tally tally;
  std::vector<std::unique_ptr<User>> users;
  std::vector<std::thread> threads;
  for (unsigned k = 0; k < 4; ++k) {
    users.push_back(std::make_unique<User>(server.address(), expected, 200 + k, tally));
    threads.emplace_back([user = users.back().get()] { user->Run(); });
  }
  const auto lives = [&users] {
    std::vector<int> counts;
    for (const auto& user : users) {
      counts.push_back(user->lives());
    }
    return counts;
  };
  std::mt19937 random(11);
  std::map<int, int> exits;  // by code
  int failed = 0;
  int survived = 0;
  for (int k = 0; k < failures && !HasFailure(); ++k) {
    const int64_t failed_before = control->failed;
    control->left = 1 + static_cast<int64_t>(random() % kRange);
    EXPECT_TRUE(WaitFor(server, [&] { return control->failed > failed_before; }))
        << "the server does nothing any more";
    // Every user gets all answers for a whole job, or the server ends.
    ++failed;
    const std::vector<int> before = lives();
    EXPECT_TRUE(WaitFor(server,
                        [&] {
                          const std::vector<int> now = lives();
                          for (size_t u = 0; u < now.size(); ++u) {
                            if (now[u] < before[u] + 2) {
                              return false;
                            }
                          }
                          return true;
                        }))
        << "after failure " << k << " a request stays without an answer";
    control->left = 0;
    if (HasEnded(server)) {
      const std::string errors = server.process().Errors();
      const int code = server.process().Wait();
      ++exits[code];
      // By abort(), or by the catalogue, which can't tell what it has kept, or by gRPC, which now
      // and then follows the null pointer of an allocation that failed.
      EXPECT_TRUE(code == 128 + SIGABRT || code == 70 || code == 128 + SIGSEGV) << code << "\n"
                                                                                << errors;
      EXPECT_LE(exits[128 + SIGSEGV], 1 + k / 10) << errors;
    } else {
      ++survived;
      if (random() % 2 == 0) {
        EXPECT_EQ(server.Stop(), 0);
      } else {
        server.Kill();
      }
    }
    server.Start();
    if ((k + 1) % 100 == 0) {
      std::printf("%d failures, %d survived, %d jobs\n", k + 1, survived, tally.jobs.load());
      std::fflush(stdout);
    }
  }
  tally.stopping = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::printf("%d failed allocations: the server survived %d", failed, survived);
  for (const auto& [code, count] : exits) {
    std::printf(", ended with code %d %d times", code, count);
  }
  std::printf("; %d jobs, %d cancelled, %d ended for want of memory; %d calls refused\n",
              tally.jobs.load(), tally.cancelled.load(), tally.out_of_memory.load(),
              tally.refused.load());
  EXPECT_LE(tally.out_of_memory, failures);
  // Every job was deleted by its user: what is left would be one that nobody was told of.
  client::Client client = Connect(server.address());
  EXPECT_EQ(client.List({})->training_jobs_size(), 0);
  // Files of deleted jobs are gone, at the latest after one more start.
  EXPECT_EQ(server.Stop(), 0);
  server.Start();
  EXPECT_EQ(server.Stop(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(server.data_directory() + "/jobs"));
}

}  // namespace
}  // namespace polyak
