// A run whose power is cut behind every operation, with every choice of what survives: what comes
// back is a prefix of what was written, no shorter than the last Sync, and the run can go on.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/storage/file_trace.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::CrashChoice;
using testing_support::CrashLimits;
using testing_support::SimulatedDisk;

// Rows that a run had promised by the time of a number of operations.
struct Promise {
  size_t log_size = 0;
  int64_t synced = 0;
  int64_t appended = 0;
};

struct RecordedRun {
  SimulatedDisk disk;
  std::vector<Promise> promises;  // the first one: the file is there
  Promise At(size_t prefix) const {
    Promise last;
    for (const Promise& promise : promises) {
      if (promise.log_size <= prefix) {
        last.synced = promise.synced;
      }
      last.appended = promise.appended;
      if (promise.log_size > prefix) {
        break;
      }
    }
    return last;
  }
};

// A slice of rows; then perhaps a Sync.
struct Step {
  int64_t rows;
  bool sync;
};

// Slices within a block, up to its end, over its end, over several blocks; Syncs within blocks, at
// their ends, and with one to three heads written since the last one.
constexpr Step kSteps[] = {{1, false},  {3, true},    {500, false}, {100, false}, {50, false},
                           {20, true},  {350, false}, {700, true},  {324, false}, {1500, false},
                           {10, false}, {600, true},  {5, false},   {5, false},   {2000, false},
                           {7, true},   {1, false}};

RecordedRun MakeRun() {
  RecordedRun run;
  MakeDirectories(run.disk);
  auto trace = FileTrace::Create(run.disk, kPath, kUid, kColumns, "a job");
  EXPECT_TRUE(trace.ok()) << trace.status();
  run.promises.push_back({run.disk.log_size(), 0, 0});
  int64_t rows = 0;
  int64_t synced = 0;
  for (const Step& step : kSteps) {
    AppendRows(**trace, rows, rows + step.rows);
    rows += step.rows;
    EXPECT_TRUE(Publish(**trace, rows).ok());
    run.promises.push_back({run.disk.log_size(), synced, rows});
    if (step.sync) {
      EXPECT_TRUE((*trace)->Sync().ok());
      synced = rows;
      run.promises.push_back({run.disk.log_size(), synced, rows});
    }
  }
  return run;
}

// Opens what a crash left; `known`: whether the caller remembers the last Sync.
void CheckRecovery(SimulatedDisk& disk, const Promise& promise, bool known) {
  const auto trace = FileTrace::OpenToWrite(disk, kPath, kUid, known ? promise.synced : 0);
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_GE((*trace)->row_count(), promise.synced);
  EXPECT_LE((*trace)->row_count(), promise.appended);
  EXPECT_TRUE((*trace)->damage().empty());
  EXPECT_TRUE(IsPrefix(**trace));
}

void CheckGoingOn(SimulatedDisk& disk) {
  auto trace = FileTrace::OpenToWrite(disk, kPath, kUid, 0);
  ASSERT_TRUE(trace.ok()) << trace.status();
  const int64_t rows = (*trace)->row_count();
  const int64_t from = rows / 2;
  ASSERT_TRUE((*trace)->Rewind(from).ok());
  AppendRows(**trace, from, rows + 1030);
  ASSERT_TRUE(Publish(**trace, rows + 1030).ok());
  EXPECT_TRUE(IsPrefix(**trace));
  trace->reset();
  trace = FileTrace::OpenToWrite(disk, kPath, kUid, 0);
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ((*trace)->row_count(), rows + 1030);
  EXPECT_TRUE(IsPrefix(**trace));
}

TEST(TraceCrash, WhatComesBackIsAPrefixNoShorterThanTheLastSync) {
  const RecordedRun run = MakeRun();
  const size_t operations = run.disk.log_size();
  EXPECT_GE(operations, 60U);
  const CrashLimits limits = {7, 24, 7, true};
  int64_t states = 0;
  for (size_t prefix = run.promises[0].log_size; prefix <= operations; ++prefix) {
    const Promise promise = run.At(prefix);
    for (const CrashChoice& choice : run.disk.CrashChoices(prefix, limits)) {
      SimulatedDisk disk = run.disk.CrashAt(prefix, choice);
      ++states;
      CheckRecovery(disk, promise, states % 2 == 0);
      if (states % 8 == 0) {
        CheckGoingOn(disk);
      }
      ASSERT_FALSE(HasFailure()) << run.disk.Describe(prefix, choice);
    }
  }
  RecordProperty("states", std::to_string(states));
  EXPECT_GT(states, 3000);
}

// Opens what a crash left, and what is left when that is cut again anywhere. Returns how many
// times.
int64_t CheckCutRecoveries(const RecordedRun& run, size_t prefix, const CrashChoice& choice,
                           const CrashLimits& limits) {
  const Promise promise = run.At(prefix);
  SimulatedDisk disk = run.disk.CrashAt(prefix, choice);
  CheckRecovery(disk, promise, true);
  int64_t states = 0;
  for (size_t cut = 0; cut <= disk.log_size(); ++cut) {
    for (const CrashChoice& again : disk.CrashChoices(cut, limits)) {
      SimulatedDisk later = disk.CrashAt(cut, again);
      CheckRecovery(later, promise, ++states % 2 == 0);
      if (::testing::Test::HasFailure()) {
        ADD_FAILURE() << run.disk.Describe(prefix, choice) << "\nthen "
                      << disk.Describe(cut, again);
        return states;
      }
    }
  }
  return states;
}

// The power fails again while the trace is being opened: after a kill at every operation, and after
// some losses of power.
TEST(TraceCrash, ARecoveryThatIsCutLosesNothingEither) {
  const RecordedRun run = MakeRun();
  int64_t states = 0;
  for (size_t prefix = run.promises[0].log_size; prefix <= run.disk.log_size(); ++prefix) {
    const CrashChoice kill = {run.disk.Unsynced(prefix), std::nullopt};
    states += CheckCutRecoveries(run, prefix, kill, {4, 8, 3, true});
    ASSERT_FALSE(HasFailure());
  }
  for (size_t prefix = run.promises[0].log_size; prefix <= run.disk.log_size(); prefix += 7) {
    for (const CrashChoice& choice : run.disk.CrashChoices(prefix, {0, 4, 3, true})) {
      states += CheckCutRecoveries(run, prefix, choice, {0, 2, 5, true});
      ASSERT_FALSE(HasFailure());
    }
  }
  RecordProperty("states", std::to_string(states));
  EXPECT_GT(states, 3000);
}

// A file gets its name when it is whole.
TEST(TraceCrash, AFileIsThereAsAWholeOrNotAtAll) {
  SimulatedDisk disk;
  MakeDirectories(disk);
  const size_t before = disk.log_size();
  ASSERT_TRUE(FileTrace::Create(disk, kPath, kUid, kColumns, std::string(5000, 'd')).ok());
  for (size_t prefix = before; prefix <= disk.log_size(); ++prefix) {
    for (const CrashChoice& choice : disk.CrashChoices(prefix)) {
      SimulatedDisk later = disk.CrashAt(prefix, choice);
      const auto trace = FileTrace::OpenToWrite(later, kPath, kUid, 0);
      if (trace.ok()) {
        EXPECT_EQ((*trace)->row_count(), 0);
        EXPECT_EQ((*trace)->ReadDescription().value(), std::string(5000, 'd'));
      } else {
        EXPECT_TRUE(absl::IsNotFound(trace.status())) << trace.status();
        EXPECT_LT(prefix, disk.log_size());
        EXPECT_TRUE(FileTrace::Create(later, kPath, kUid, kColumns, "again").ok());
      }
    }
  }
}

}  // namespace
}  // namespace polyak::storage
