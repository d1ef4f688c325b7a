#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/storage/catalogue/connection.h"
#include "server/storage/catalogue/queries.h"
#include "server/storage/catalogue/sqlite_job_store.h"
#include "server/storage/memory_job_store.h"
#include "server/storage/sha256.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/job_store_calls.h"
#include "tests/support/simulated_disk.h"

// Twenty changes, and the power cut at every point with every fate of what was not synced; then the
// same for the recovery. The judge is the store in memory: after recovery everything that can be
// asked must be as after k changes, where k is the number of acknowledged ones, or that and the one
// which was under way.

namespace polyak::storage {
namespace {

using testing_support::Await;
using testing_support::CrashChoice;
using testing_support::CrashLimits;
using testing_support::FaultyFileSystem;
using testing_support::JobStoreCalls;
using testing_support::MakeJob;
using testing_support::SimulatedDisk;

constexpr int kChanges = 20;

// Six pages of the file.
std::shared_ptr<v1::TrainingJob> JobWithNumbers(const std::string& name) {
  auto job = MakeJob(name);
  for (int k = 0; k < 3'000; ++k) {
    job->mutable_spec()->mutable_quadratic()->add_initial_point(k + 0.5);
  }
  return job;
}

// The k-th change: jobs are created with request ids, run, are cancelled, end and are removed.
void Change(JobStore& store, int k, const Done& done) {
  const std::string name = absl::StrCat("job", k / 5);
  const std::string uid = absl::StrCat("uid", k / 5);
  switch (k % 5) {
    case 0: {
      const auto job = k == 10 ? JobWithNumbers(name) : MakeJob(name, uid);
      job->set_uid(uid);
      return store.Insert(job, {absl::StrCat("request", k), "payload"}, done);
    }
    case 1:
      return store.Insert(MakeJob(absl::StrCat("other", k)), {}, done);
    case 2:
      return store.RequestCancel(name, done);
    case 3: {
      const auto job = k == 13 ? JobWithNumbers(name) : MakeJob(name, uid);
      job->set_uid(uid);
      job->mutable_end_time()->set_seconds(k);
      return store.Update(job, done);
    }
    default:
      return k == 14
                 ? store.Remove(absl::StrCat("other", k - 3), absl::StrCat("other", k - 3), done)
                 : store.Remove(name, uid, done);
  }
}

std::string Text(const absl::StatusOr<JobSnapshot>& answer) {
  return !answer.ok()         ? answer.status().ToString()
         : *answer == nullptr ? "null"
                              : (*answer)->SerializeAsString();
}

// Everything that can be asked, of a Source with the four questions below.
template <typename Source>
std::string Answers(Source&& source) {
  std::string out;
  const auto unfinished = source.LoadUnfinished();
  if (!unfinished.ok()) {
    return unfinished.status().ToString();
  }
  for (const StoredJob& stored : *unfinished) {
    absl::StrAppend(&out, stored.job->name(), stored.cancel_requested ? " cancelled" : "", "\n");
  }
  for (const std::string& name : testing_support::Names(source.List())) {
    absl::StrAppend(&out, name, "\n");
  }
  for (int k = 0; k < kChanges; ++k) {
    const bool is_job = k % 5 == 0;
    absl::StrAppend(
        &out, Text(source.Get(absl::StrCat(is_job ? "job" : "other", is_job ? k / 5 : k))), "\n");
    absl::StrAppend(&out, Text(source.FindRequest(absl::StrCat("request", k), "payload")), "\n");
  }
  return out;
}

// The judge.
struct MemorySource {
  MemoryJobStore& store;
  auto LoadUnfinished() { return store.LoadUnfinished(); }
  auto List() { return JobStoreCalls(store).List({testing_support::EveryJob, 0, 1'000})->jobs; }
  auto Get(const std::string& name) { return JobStoreCalls(store).Get(name); }
  auto FindRequest(const std::string& id, const std::string& payload) {
    return JobStoreCalls(store).FindRequest({id, payload});
  }
};

// What SqliteJobStore answers from, without its thread: thousands of times.
struct CatalogueSource {
  Queries& queries;
  absl::Time now;
  auto LoadUnfinished() { return queries.LoadUnfinished(); }
  std::vector<JobSnapshot> List() {
    ListPage page{testing_support::EveryJob, 0, 1'000};
    ListResult result;
    const auto finished = queries.ListSome(page, 1'000, result);
    return finished.ok() ? result.jobs : std::vector<JobSnapshot>();
  }
  auto Get(const std::string& name) { return queries.Get(name, now); }
  auto FindRequest(const std::string& id, const std::string& payload) {
    return queries.FindRequest(id, Sha256(payload), now);
  }
};

// The answers after 0, 1, ... changes.
const std::vector<std::string>& Expected() {
  static const auto& expected = *new std::vector<std::string>([] {
    const testing_support::FakeClock clock;
    MemoryJobStore store(clock);
    std::vector<std::string> answers = {Answers(MemorySource{store})};
    for (int k = 0; k < kChanges; ++k) {
      Change(store, k, [k](const absl::Status& status) { EXPECT_TRUE(status.ok()) << k; });
      answers.push_back(Answers(MemorySource{store}));
    }
    return answers;
  }());
  return expected;
}

absl::StatusOr<std::unique_ptr<SqliteJobStore>> OpenStore(base::FileSystem& files,
                                                          const base::Clock& clock) {
  SqliteJobStore::Options options;
  options.directory = "/data";
  options.checkpoint_pages = 12;  // so that the log is copied and begun anew a few times
  return SqliteJobStore::Open(files, clock, options);
}

// Which numbers of changes the answers of the catalogue on this disk fit; the error if it can't be
// opened.
absl::StatusOr<std::vector<size_t>> ChangesFound(base::FileSystem& files) {
  const testing_support::FakeClock clock;
  const auto connection = Connection::Open(files, "/data/catalogue.db");
  if (!connection.ok()) {
    return connection.status();
  }
  Queries queries(**connection, {});
  const std::string answers = Answers(CatalogueSource{queries, clock.WallTime()});
  std::vector<size_t> fitting;
  for (size_t k = 0; k < Expected().size(); ++k) {
    if (answers == Expected()[k]) {
      fitting.push_back(k);
    }
  }
  return fitting;
}

bool IsKept(const absl::StatusOr<std::vector<size_t>>& found, size_t acknowledged) {
  return found.ok() && std::any_of(found->begin(), found->end(), [&](size_t k) {
           return k == acknowledged || k == acknowledged + 1;
         });
}

// Answers a change before it is made: the bug that the test must find.
void ChangeAnsweredTooEarly(JobStore& store, int k, const Done& done) {
  done(absl::OkStatus());
  const absl::Status status =
      Await<absl::Status>([&](const auto& made) { Change(store, k, made); });
  EXPECT_TRUE(status.ok()) << status;
}

struct History {
  SimulatedDisk disk;
  std::vector<size_t> acknowledged_at;  // the size of the disk's log, change by change
  size_t Acknowledged(size_t prefix) const {
    return static_cast<size_t>(
        std::upper_bound(acknowledged_at.begin(), acknowledged_at.end(), prefix) -
        acknowledged_at.begin());
  }
};

using MakeChange = std::function<void(JobStore&, int, const Done&)>;

// In two lives, each closed as it should be.
void RunAll(History& history, const MakeChange& change) {
  ASSERT_TRUE(history.disk.CreateDirectory("/data").ok());
  ASSERT_TRUE(history.disk.SyncDirectory("/").ok());
  const testing_support::FakeClock clock;
  std::unique_ptr<SqliteJobStore> store;
  for (int k = 0; k < kChanges; ++k) {
    if (k % 12 == 0) {
      store.reset();
      auto opened = OpenStore(history.disk, clock);
      ASSERT_TRUE(opened.ok()) << opened.status();
      store = *std::move(opened);
    }
    const absl::Status status = Await<absl::Status>([&](const auto& done) {
      change(*store, k, [&history, done](absl::Status answer) {
        history.acknowledged_at.push_back(history.disk.log_size());
        done(std::move(answer));
      });
    });
    ASSERT_TRUE(status.ok()) << k << ": " << status;
  }
}

class Verdict {
 public:
  void Check(const absl::StatusOr<std::vector<size_t>>& found, size_t acknowledged,
             const std::function<std::string()>& where) {
    ++checks_;
    if (IsKept(found, acknowledged)) {
      return;
    }
    if (violations_++ == 0) {
      first_ = absl::StrCat(where(), "\nacknowledged: ", acknowledged, ", found: ",
                            !found.ok()      ? found.status().ToString()
                            : found->empty() ? "a mixture"
                                             : absl::StrCat(found->front()));
    }
  }
  int64_t checks() const { return checks_; }
  int64_t violations() const { return violations_; }
  const std::string& first() const { return first_; }

 private:
  int64_t checks_ = 0;
  int64_t violations_ = 0;
  std::string first_;
};

constexpr CrashLimits kLimits = {.exhaustive_max = 4, .random_subsets = 4};

// Every crash of the history, and of every `recovery_stride`-th one's recovery every crash again;
// up to the first crash point with a violation.
Verdict CutPowerEverywhere(const History& history, int64_t recovery_stride) {
  Verdict verdict;
  int64_t count = 0;
  for (size_t prefix = 2; prefix <= history.disk.log_size() && verdict.violations() == 0;
       ++prefix) {
    const size_t acknowledged = history.Acknowledged(prefix);
    for (const CrashChoice& choice : history.disk.CrashChoices(prefix, kLimits)) {
      SimulatedDisk first = history.disk.CrashAt(prefix, choice);
      const auto where = [&] { return history.disk.Describe(prefix, choice); };
      verdict.Check(ChangesFound(first), acknowledged, where);
      if (++count % recovery_stride != 0) {
        continue;
      }
      for (size_t again = 0; again <= first.log_size(); ++again) {
        for (const CrashChoice& second :
             first.CrashChoices(again, {.exhaustive_max = 1, .random_subsets = 1})) {
          SimulatedDisk twice = first.CrashAt(again, second);
          verdict.Check(ChangesFound(twice), acknowledged, [&] {
            return absl::StrCat(where(), "\nthen\n", first.Describe(again, second));
          });
        }
      }
    }
  }
  return verdict;
}

TEST(CatalogueCrash, NoAcknowledgedChangeIsLostAndNoneIsHalfDone) {
  History history;
  RunAll(history, Change);
  const Verdict verdict = CutPowerEverywhere(history, 499);
  EXPECT_EQ(verdict.violations(), 0) << verdict.first();
  EXPECT_GT(verdict.checks(), 1'000);
  RecordProperty("checks", static_cast<int>(verdict.checks()));
}

TEST(CatalogueCrash, TheTestFindsAStoreThatAnswersTooEarly) {
  History history;
  RunAll(history, ChangeAnsweredTooEarly);
  EXPECT_GT(CutPowerEverywhere(history, 1'000'000).violations(), 0);
}

// What a store answers when the n-th call of a kind fails.
struct Broken {
  size_t acknowledged = 0;
  bool fired = false;
};

Broken RunUntilFailure(SimulatedDisk& disk, FaultyFileSystem& files) {
  Broken result;
  const testing_support::FakeClock clock;
  auto store = OpenStore(files, clock);
  if (!store.ok()) {
    return {0, true};
  }
  for (int k = 0; k < kChanges; ++k) {
    const absl::Status status =
        Await<absl::Status>([&](const auto& done) { Change(**store, k, done); });
    if (!status.ok()) {
      EXPECT_TRUE(absl::IsUnavailable(status)) << status;
      const size_t log_size = disk.log_size();
      store->reset();
      EXPECT_EQ(disk.log_size(), log_size) << "written after a failure";
      result.fired = true;
      return result;
    }
    ++result.acknowledged;
  }
  return result;
}

// What the next process finds must be there, and stay there if the power is lost right after.
void ExpectKept(SimulatedDisk& disk, const Broken& broken, const std::string& where) {
  const auto found = ChangesFound(disk);
  EXPECT_TRUE(IsKept(found, broken.acknowledged)) << where << ": " << found.status();
  SimulatedDisk after = disk.CrashAt(disk.log_size());
  EXPECT_EQ(ChangesFound(after).value(), found.value()) << where;
}

class CatalogueFailureTest
    : public ::testing::TestWithParam<std::pair<FaultyFileSystem::Call, const char*>> {};

using Call = FaultyFileSystem::Call;
INSTANTIATE_TEST_SUITE_P(Every, CatalogueFailureTest,
                         ::testing::Values(std::pair{Call::kWrite, "Write"},
                                           std::pair{Call::kRead, "Read"},
                                           std::pair{Call::kSync, "Sync"},
                                           std::pair{Call::kTruncate, "Truncate"},
                                           std::pair{Call::kSyncDirectory, "SyncDirectory"}),
                         [](const auto& call) { return call.param.second; });

TEST_P(CatalogueFailureTest, TheNthFailureLosesNothingAcknowledged) {
  int64_t fired = 0;
  for (int64_t nth = 1;; ++nth) {
    SimulatedDisk disk;
    ASSERT_TRUE(disk.CreateDirectory("/data").ok());
    ASSERT_TRUE(disk.SyncDirectory("/").ok());
    FaultyFileSystem files(disk);
    const size_t rule =
        files.AddRule({.call = GetParam().first, .path = {}, .nth = nth, .fault = {}});
    const Broken broken = RunUntilFailure(disk, files);
    if (files.fired(rule) == 0) {
      break;
    }
    ++fired;
    ExpectKept(disk, broken, absl::StrCat(GetParam().second, " ", nth));
  }
  EXPECT_GT(fired, 0);
}

// The kernel forgets what a failed sync did not write, and goes on showing it, or not.
TEST(CatalogueCrash, AFailedSyncLosesNothingAcknowledgedWhateverTheKernelKeeps) {
  for (const auto cached : {SimulatedDisk::Cached::kKept, SimulatedDisk::Cached::kDropped}) {
    bool fired = true;
    for (int nth = 1; fired; ++nth) {
      SimulatedDisk disk;
      ASSERT_TRUE(disk.CreateDirectory("/data").ok());
      ASSERT_TRUE(disk.SyncDirectory("/").ok());
      FaultyFileSystem files(disk);
      int count = 0;
      files.SetHook([&](const FaultyFileSystem::Operation& operation)
                        -> std::optional<FaultyFileSystem::Fault> {
        if (operation.call != Call::kSync || ++count != nth) {
          return std::nullopt;
        }
        disk.FailSync(operation.path, cached);
        return FaultyFileSystem::Fault{};
      });
      const Broken broken = RunUntilFailure(disk, files);
      fired = count >= nth;
      if (fired) {
        ExpectKept(disk, broken, absl::StrCat("sync ", nth));
      }
    }
  }
}

}  // namespace
}  // namespace polyak::storage
