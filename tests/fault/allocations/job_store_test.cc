// The stores of jobs with an allocation that fails: in SQLite and in memory.

#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/posix_file_system.h"
#include "server/storage/catalogue/sqlite_job_store.h"
#include "server/storage/memory_job_store.h"
#include "tests/fault/allocations/sweep.h"
#include "tests/support/job_store_calls.h"

namespace polyak::storage {
namespace {

using testing_support::EveryJob;
using testing_support::FailurePlan;
using testing_support::JobStoreCalls;
using testing_support::MakeJob;
using testing_support::Scenario;
using testing_support::Steps;
using testing_support::SweepAllocations;

// SQLite's allocator, which fails with all others. Set up before SQLite's first use.
sqlite3_mem_methods& SystemMemory() {
  static sqlite3_mem_methods methods = {};
  return methods;
}

void* SqliteMalloc(int size) {
  return testing_support::MustFail() ? nullptr : SystemMemory().xMalloc(size);
}

void* SqliteRealloc(void* memory, int size) {
  return testing_support::MustFail() ? nullptr : SystemMemory().xRealloc(memory, size);
}

void LetSqliteFail() {
  static const bool done = [] {
    POLYAK_CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &SystemMemory()) == SQLITE_OK);
    sqlite3_mem_methods methods = SystemMemory();
    methods.xMalloc = SqliteMalloc;
    methods.xRealloc = SqliteRealloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK;
  }();
  POLYAK_CHECK(done);
}

// Most allocations are SQLite's, thousands of them.
constexpr int64_t kStride = 31;

constexpr char kA[] = "trainingJobs/a";
constexpr char kB[] = "trainingJobs/b";
constexpr char kC[] = "trainingJobs/c";

// The lives of three jobs.
class JobStoreScenario : public Scenario {
 public:
  enum Step : size_t {
    kOpen,
    kInsertA,
    kInsertB,
    kStartA,
    kEndA,
    kCancelB,
    kGetA,
    kFindRequest,
    kList,
    kListEnded,
    kFindUse,
    kManyReads,
    kRemoveA,
    kReopen,
    kLoadUnfinished,
    kLoadUids,
    kGetB,
    kInsertC,
  };

  explicit JobStoreScenario(bool survives) : survives_(survives) {
    // What a job looks like after each step that changes it.
    auto a = MakeJob(kA, "0f8fad5b-d9cb-469f-a165-70867728950e");
    a->set_display_name(std::string(100, 'a'));
    a->mutable_spec()->mutable_quadratic()->mutable_least_squares()->mutable_dataset()->set_name(
        "datasets/abc");
    forms_a_.push_back(std::make_shared<v1::TrainingJob>(*a));
    a->set_state(v1::TrainingJob::STATE_RUNNING);
    forms_a_.push_back(std::make_shared<v1::TrainingJob>(*a));
    a->set_state(v1::TrainingJob::STATE_SUCCEEDED);
    a->mutable_end_time()->set_seconds(17);
    forms_a_.push_back(std::make_shared<v1::TrainingJob>(*a));
    auto b = MakeJob(kB, "7c9e6679-7425-40de-944b-e07fc1f90ae7");
    for (int k = 0; k < 300; ++k) {
      b->mutable_spec()->mutable_quadratic()->mutable_matrix()->add_values(k);
    }
    b_ = b;
    c_ = MakeJob(kC, "1b4e28ba-2fa1-41d2-883f-0016d3cca427");
  }

  void Run(Steps& steps) override {
    if (!steps.DoAgain(kOpen, [&] { return Open(); })) {
      return;
    }
    steps.Do(kInsertA, [&] { return calls_->Insert(forms_a_[0], key_); });
    steps.Do(kInsertB, [&] { return calls_->Insert(b_); });
    steps.Do(kStartA, [&] { return calls_->Update(forms_a_[1]); });
    steps.Do(kEndA, [&] { return calls_->Update(forms_a_[2]); });
    steps.Do(kCancelB, [&] { return calls_->RequestCancel(kB); });
    steps.Do(kGetA, [&] { return LookAtA(steps); });
    steps.Do(kFindRequest, [&] { return calls_->FindRequest(key_).status(); });
    steps.Do(kList, [&] { return calls_->List({EveryJob}).status(); });
    steps.Do(kListEnded, [&] { return calls_->ListEnded(10).status(); });
    steps.Do(kFindUse, [&] { return calls_->FindDatasetUse("datasets/abc").status(); });
    // More than a queue of the store holds without asking for memory.
    for (int k = 0; k < 40; ++k) {
      steps.Do(kManyReads, [&] {
        const absl::Status status = calls_->Get(kC).status();
        return absl::IsNotFound(status) ? absl::OkStatus() : status;
      });
    }
    steps.Do(kRemoveA, [&] { return calls_->Remove(kA, forms_a_[0]->uid()); });
    if (survives_) {
      calls_.reset();
      store_.reset();
      if (!steps.DoAgain(kReopen, [&] { return Open(); })) {
        return;
      }
    }
    steps.Do(kLoadUnfinished, [&] { return store_->LoadUnfinished().status(); });
    steps.Do(kLoadUids, [&] { return store_->LoadUids().status(); });
    steps.Do(kGetB, [&] { return LookAtB(steps); });
    steps.Do(kInsertC, [&] { return calls_->Insert(c_); });
  }

  // A store that has given itself up says so at each call.
  void CheckLive(Steps& steps) override {
    if (store_ != nullptr && !absl::IsUnavailable(calls_->Get(kA).status())) {
      Check(steps, [&](const std::string& what) { steps.Complain(what); });
    }
  }

 protected:
  // files, clock: outlive the store.
  virtual absl::StatusOr<std::unique_ptr<JobStore>> MakeStore(base::FileSystem& files,
                                                              const base::Clock& clock) = 0;

  absl::Status Open() {
    auto store = MakeStore(files_, clock_);
    if (!store.ok()) {
      return store.status();
    }
    store_ = *std::move(store);
    calls_.emplace(*store_);
    return absl::OkStatus();
  }

  absl::StatusOr<JobSnapshot> Get() { return calls_->Get(kA); }

  using Complain = std::function<void(const std::string&)>;
  // With memory: what was acknowledged is there, what was never begun is not, and the store works.
  void Check(const Steps& steps, const Complain& complain) {
    if (const absl::Status a = LookAtA(steps); !a.ok()) {
      complain(absl::StrCat("a: ", a.message()));
    }
    if (const absl::Status b = LookAtB(steps); !b.ok()) {
      complain(absl::StrCat("b: ", b.message()));
    }
    const auto c = calls_->Get(kC);
    if (c.ok() ? !Same(**c, *c_) : steps.acknowledged(kInsertC) || !absl::IsNotFound(c.status())) {
      complain("c is lost or different");
    }
    CheckRequest(steps, complain);
    CheckUnfinished(steps, complain);
    CheckLists(complain);
  }

 private:
  static bool Same(const v1::TrainingJob& one, const v1::TrainingJob& other) {
    return one.SerializeAsString() == other.SerializeAsString();
  }

  absl::Status LookAtA(const Steps& steps) {
    constexpr Step kChanges[] = {kInsertA, kStartA, kEndA, kRemoveA};
    int least = 0;  // changes that must have been made
    int most = 0;
    for (int k = 0; k < 4; ++k) {
      least = steps.acknowledged(kChanges[k]) ? k + 1 : least;
      most = steps.begun(kChanges[k]) ? k + 1 : most;
    }
    const auto found = calls_->Get(kA);
    if (absl::IsNotFound(found.status())) {
      return least == 0 || most == 4 ? absl::OkStatus() : absl::DataLossError("it is lost");
    }
    if (!found.ok()) {
      return found.status();
    }
    for (int k = std::max(least, 1); k <= std::min(most, 3); ++k) {
      if (Same(**found, *forms_a_[static_cast<size_t>(k - 1)])) {
        return absl::OkStatus();
      }
    }
    return absl::DataLossError("it is not what was kept");
  }

  absl::Status LookAtB(const Steps& steps) {
    const auto found = calls_->Get(kB);
    if (absl::IsNotFound(found.status())) {
      return steps.acknowledged(kInsertB) ? absl::DataLossError("it is lost") : absl::OkStatus();
    }
    if (!found.ok()) {
      return found.status();
    }
    return Same(**found, *b_) ? absl::OkStatus() : absl::DataLossError("it is not what was kept");
  }

  // A retry of what failed makes the job; one of what was done finds it.
  void CheckRequest(const Steps& steps, const Complain& complain) {
    const auto a = calls_->Get(kA);
    const auto found = calls_->FindRequest(key_);
    if (a.ok()) {
      if (!found.ok() || *found == nullptr || (*found)->uid() != (*a)->uid()) {
        complain("the request does not find the job it made");
      }
    } else if (!steps.begun(kRemoveA)) {
      if (!found.ok() || *found != nullptr) {
        complain(absl::StrCat("a request that made no job finds one: ", found.status().message()));
      } else if (const absl::Status retried = calls_->Insert(forms_a_[0], key_); !retried.ok()) {
        complain(absl::StrCat("a retry is refused: ", retried.message()));
      } else if (!calls_->Get(kA).ok()) {
        complain("a retry made no job");
      }
    }
  }

  void CheckUnfinished(const Steps& steps, const Complain& complain) {
    const auto unfinished = store_->LoadUnfinished();
    if (!unfinished.ok()) {
      return complain(absl::StrCat("LoadUnfinished: ", unfinished.status().message()));
    }
    for (const StoredJob& stored : *unfinished) {
      if (stored.job->name() == kB &&
          (stored.cancel_requested ? !steps.begun(kCancelB) : steps.acknowledged(kCancelB))) {
        complain("the wish to cancel is lost, or was made up");
      }
    }
  }

  // All views are of the same jobs.
  void CheckLists(const Complain& complain) {
    size_t jobs = 0;
    for (const char* const name : {kA, kB, kC}) {
      jobs += calls_->Get(name).ok() ? 1 : 0;
    }
    const auto listed = calls_->List({EveryJob});
    const auto uids = store_->LoadUids();
    if (!listed.ok() || listed->jobs.size() != jobs || !uids.ok() || uids->size() != jobs) {
      complain("the lists are not of the jobs that are there");
    }
  }

  const RequestKey key_ = {"r1", std::string(200, 'p')};
  const bool survives_;
  std::vector<JobSnapshot> forms_a_;
  JobSnapshot b_;
  JobSnapshot c_;
  base::SystemClock clock_;
  base::PosixFileSystem files_;
  std::unique_ptr<JobStore> store_;
  std::optional<JobStoreCalls> calls_;
};

class CatalogueScenario : public JobStoreScenario {
 public:
  CatalogueScenario() : JobStoreScenario(true) {}
  void Prepare(const std::string& folder) override { folder_ = folder; }
  void CheckReopened(const std::string& folder, const Steps& steps) override {
    folder_ = folder;
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    Check(steps, [](const std::string& what) { ADD_FAILURE() << what; });
  }

 private:
  absl::StatusOr<std::unique_ptr<JobStore>> MakeStore(base::FileSystem& files,
                                                      const base::Clock& clock) override {
    SqliteJobStore::Options options;
    options.directory = folder_;
    options.checkpoint_pages = 4;  // so that there are some
    return SqliteJobStore::Open(files, clock, options);
  }

  std::string folder_;
};

// Calls that fail at each of their own allocations, many times, so that also those fail that few
// calls make.
class FailingCalls : public CatalogueScenario {
 public:
  void Run(Steps& /*steps*/) override {}
  void CheckLive(Steps& steps) override {
    constexpr int kRounds = 200;
    constexpr int64_t kAllocationsMax = 12;  // of a call
    if (!Open().ok()) {
      return steps.Complain("it can't be opened");
    }
    for (int k = 0; k < kRounds; ++k) {
      for (int64_t nth = 1; nth <= kAllocationsMax; ++nth) {
        const testing_support::FailingAllocations armed({nth, FailurePlan::Whose::kThisThread});
        steps.Do(kGetA, [&] {
          const absl::Status found = Get().status();
          return absl::IsNotFound(found) ? absl::OkStatus() : found;
        });
      }
    }
    if (!absl::IsNotFound(Get().status())) {
      steps.Complain("it does not answer any more");
    }
  }
};

class MemoryScenario : public JobStoreScenario {
 public:
  MemoryScenario() : JobStoreScenario(false) {}

 private:
  absl::StatusOr<std::unique_ptr<JobStore>> MakeStore(base::FileSystem& /*files*/,
                                                      const base::Clock& clock) override {
    return std::make_unique<MemoryJobStore>(clock);
  }
};

TEST(AllocationFailures, OfACallerLoseNothingOfTheCatalogue) {
  testing_support::SkipUnderSanitizers();
  LetSqliteFail();
  SweepAllocations(
      "catalogue", [] { return std::make_unique<CatalogueScenario>(); },
      FailurePlan::Whose::kThisThread, kStride);
}

TEST(AllocationFailures, OfOneCallLeaveTheCatalogueToTheNext) {
  testing_support::SkipUnderSanitizers();
  SweepAllocations(
      "calls", [] { return std::make_unique<FailingCalls>(); }, FailurePlan::Whose::kThisThread);
}

TEST(AllocationFailures, OfAnyThreadLoseNothingOfTheCatalogue) {
  testing_support::SkipUnderSanitizers();
  LetSqliteFail();
  SweepAllocations(
      "catalogue", [] { return std::make_unique<CatalogueScenario>(); },
      FailurePlan::Whose::kProcess, kStride);
}

TEST(AllocationFailures, LoseNoJobInMemory) {
  testing_support::SkipUnderSanitizers();
  SweepAllocations(
      "jobs in memory", [] { return std::make_unique<MemoryScenario>(); },
      FailurePlan::Whose::kProcess);
}

}  // namespace
}  // namespace polyak::storage
