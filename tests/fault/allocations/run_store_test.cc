// The stores of runs, and their checkpoints, with an allocation that fails: in files and in memory.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/base/posix_file_system.h"
#include "server/storage/file_run_store.h"
#include "server/storage/memory_run_store.h"
#include "tests/fault/allocations/sweep.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::FailurePlan;
using testing_support::Scenario;
using testing_support::Steps;
using testing_support::SweepAllocations;

constexpr char kOther[] = "other";
constexpr int64_t kHalf = 1500;
constexpr int64_t kAll = 2300;

v1::TrainingJob Job(const std::string& uid) {
  v1::TrainingJob job;
  job.set_name("trainingJobs/" + uid);
  job.set_uid(uid);
  job.set_display_name(std::string(100, 'd'));
  job.mutable_spec()->mutable_optimizer()->mutable_polyak_momentum();
  return job;
}

// The same, ended with so many rows.
v1::TrainingJob EndedJob(const std::string& uid, int64_t rows) {
  v1::TrainingJob job = Job(uid);
  job.mutable_end_time()->set_seconds(1);
  job.mutable_summary()->set_iterations(rows - 1);
  return job;
}

absl::Status WriteState(RunStore& store, int64_t iteration) {
  return store.WriteCheckpoint(kUid, iteration, 0.5, [iteration](base::ByteSink& sink) {
    for (int64_t k = 0; k < 500; ++k) {
      sink.WriteInt(iteration + k);
    }
  });
}

// The iteration of the newest checkpoint, all of which is read; DataLoss if it is wrong.
absl::StatusOr<int64_t> ReadState(const RunStore& store) {
  auto opened = store.OpenCheckpoint(kUid, kAll);
  if (!opened.ok()) {
    return opened.status();
  }
  for (int64_t k = 0; k < 500; ++k) {
    opened->state->ExpectInt(opened->iteration + k, "the state");
  }
  if (!opened->state->status().ok() || !opened->state->at_end()) {
    return absl::DataLossError("the state is not what was kept");
  }
  return opened->iteration;
}

absl::Status CheckRows(const TraceReader& trace, int64_t rows) {
  const auto read = trace.Read(0, trace.row_count(), 1);
  if (!read.ok()) {
    return read.status();
  }
  return read->row_count() >= rows && FirstWrongRow(*read) < 0
             ? absl::OkStatus()
             : absl::DataLossError("rows are lost or wrong");
}

// A run from its start to its end, and another that is removed.
class RunStoreScenario : public Scenario {
 public:
  enum Step : size_t {
    kOpen,
    kOpenTrace,
    kHalfRows,
    kFirstState,
    kReadFirst,
    kAllRows,
    kSecondState,
    kReadSecond,
    kOpenOther,
    kListUids,
    kRemoveOther,
    kReadEnded,
    kCheckRoom,
  };

  void Run(Steps& steps) override {
    if (!steps.DoAgain(kOpen, [&] { return Open(); }) ||
        !steps.DoAgain(kOpenTrace, [&] { return OpenTrace(); })) {
      return;
    }
    steps.DoAgain(kHalfRows, [&] { return PublishUpTo(kHalf); });
    steps.DoAgain(kFirstState, [&] { return WriteState(*store_, kHalf - 1); });
    steps.Do(kReadFirst, [&] { return CheckState(steps); });
    steps.DoAgain(kAllRows, [&] { return PublishUpTo(kAll); });
    steps.DoAgain(kSecondState, [&] { return WriteState(*store_, kAll - 1); });
    steps.Do(kReadSecond, [&] { return CheckState(steps); });
    steps.Do(kOpenOther, [&] { return store_->OpenTrace(Job(kOther)).status(); });
    steps.Do(kListUids, [&] { return store_->ListUids().status(); });
    steps.Do(kRemoveOther, [&] { return store_->Remove(kOther); });
    steps.Do(kReadEnded, [&] { return CheckEnded(); });
    steps.Do(kCheckRoom, [&] { return store_->CheckRoom(); });
  }

  void CheckLive(Steps& steps) override {
    if (store_ == nullptr || trace_ == nullptr) {
      return;
    }
    if (const absl::Status status = Check(steps); !status.ok()) {
      steps.Complain(std::string{status.message()});
    }
  }

 protected:
  explicit RunStoreScenario(bool has_states) : has_states_(has_states) {}
  // files: outlive the store.
  virtual absl::StatusOr<std::unique_ptr<RunStore>> MakeStore(base::FileSystem& files) = 0;

  absl::Status Open() {
    auto store = MakeStore(files_);
    if (!store.ok()) {
      return store.status();
    }
    store_ = *std::move(store);
    return absl::OkStatus();
  }

  // With memory: what was acknowledged is there.
  absl::Status Check(const Steps& steps) {
    const int64_t rows = steps.acknowledged(kAllRows)    ? kAll
                         : steps.acknowledged(kHalfRows) ? kHalf
                                                         : 0;
    absl::Status status;
    if (trace_ == nullptr) {
      if (absl::Status opened = OpenTrace(); !opened.ok()) {
        return opened;
      }
    }
    status.Update(CheckRows(*trace_, rows));
    status.Update(CheckState(steps));
    const auto uids = store_->ListUids();
    status.Update(uids.status());
    const bool has_other =
        uids.ok() && std::find(uids->begin(), uids->end(), kOther) != uids->end();
    if (has_other && steps.acknowledged(kRemoveOther)) {
      status.Update(absl::DataLossError("what was removed is there"));
    }
    if (!has_other && steps.acknowledged(kOpenOther) && !steps.begun(kRemoveOther)) {
      status.Update(absl::DataLossError("a run is lost"));
    }
    return status;
  }

 private:
  absl::Status OpenTrace() {
    auto trace = store_->OpenTrace(Job(kUid));
    if (!trace.ok()) {
      return trace.status();
    }
    trace_ = *std::move(trace);
    return trace_->row_count() == 0 ? trace_->Rewind(0) : absl::OkStatus();
  }
  // A second try goes on where the first one failed.
  absl::Status PublishUpTo(int64_t rows) {
    if (appended_ < rows) {
      AppendRows(*trace_, appended_, rows);
      appended_ = rows;
    }
    absl::Status status = Publish(*trace_, rows);
    if (status.ok()) {
      status = trace_->Sync();
    }
    return status;
  }
  absl::Status CheckState(const Steps& steps) {
    const int64_t least = !has_states_                       ? -1
                          : steps.acknowledged(kSecondState) ? kAll - 1
                          : steps.acknowledged(kFirstState)  ? kHalf - 1
                                                             : -1;
    const auto found = ReadState(*store_);
    if (absl::IsNotFound(found.status()) && least < 0) {
      return absl::OkStatus();
    }
    if (!found.ok()) {
      return absl::IsNotFound(found.status()) ? absl::DataLossError("a checkpoint is lost")
                                              : found.status();
    }
    return *found >= least ? absl::OkStatus() : absl::DataLossError("a checkpoint is an old one");
  }
  absl::Status CheckEnded() {
    const auto ended = store_->OpenTrace(EndedJob(kUid, trace_->row_count()));
    return ended.ok() ? CheckRows(**ended, trace_->row_count()) : ended.status();
  }

  const bool has_states_;
  base::PosixFileSystem files_;
  std::unique_ptr<RunStore> store_;
  std::shared_ptr<Trace> trace_;
  int64_t appended_ = 0;
};

class FileRunScenario : public RunStoreScenario {
 public:
  FileRunScenario() : RunStoreScenario(true) {}
  void Prepare(const std::string& folder) override { folder_ = folder; }
  void CheckReopened(const std::string& folder, const Steps& steps) override {
    folder_ = folder;
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
    const absl::Status checked = Check(steps);
    EXPECT_TRUE(checked.ok()) << checked;
  }

 private:
  absl::StatusOr<std::unique_ptr<RunStore>> MakeStore(base::FileSystem& files) override {
    FileRunStore::Options options;
    options.columns = kColumns;
    options.machine.build = "g++ 1";
    options.disk_bytes = int64_t{1} << 30;
    return FileRunStore::Open(files, folder_, options);
  }

  std::string folder_;
};

class MemoryRunScenario : public RunStoreScenario {
 public:
  MemoryRunScenario() : RunStoreScenario(false) {}

 private:
  absl::StatusOr<std::unique_ptr<RunStore>> MakeStore(base::FileSystem& /*files*/) override {
    return std::make_unique<MemoryRunStore>(kColumns);
  }
};

TEST(AllocationFailures, LoseNoRowAndNoCheckpointOfARun) {
  testing_support::SkipUnderSanitizers();
  SweepAllocations(
      "runs in files", [] { return std::make_unique<FileRunScenario>(); },
      FailurePlan::Whose::kProcess);
}

TEST(AllocationFailures, LoseNoRowInMemory) {
  testing_support::SkipUnderSanitizers();
  SweepAllocations(
      "runs in memory", [] { return std::make_unique<MemoryRunScenario>(); },
      FailurePlan::Whose::kProcess);
}

}  // namespace
}  // namespace polyak::storage
