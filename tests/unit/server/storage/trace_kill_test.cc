// A process that is killed at any write: everything that a reader had seen is found again.

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/storage/file_trace.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::CrashChoice;
using testing_support::FaultyFileSystem;
using testing_support::SimulatedDisk;
using testing_support::Tear;

// What the process had done and shown when it was killed: `operations` of the log, the last one
// perhaps in part.
struct Moment {
  size_t operations = 0;
  int64_t shown = 0;
};

void CheckReopened(const SimulatedDisk& disk, const Moment& moment, const CrashChoice& choice) {
  SimulatedDisk later = disk.CrashAt(moment.operations, choice);
  const auto trace = FileTrace::OpenToWrite(later, kPath, kUid, 0);
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_GE((*trace)->row_count(), moment.shown) << disk.Describe(moment.operations, choice);
  EXPECT_TRUE(IsPrefix(**trace));
}

TEST(TraceKill, WhatWasShownIsFoundAgainAfterAKillInAnyWrite) {
  SimulatedDisk disk;
  MakeDirectories(disk);
  FaultyFileSystem files(disk);
  auto trace = FileTrace::Create(files, kPath, kUid, kColumns, "");
  ASSERT_TRUE(trace.ok());
  std::vector<Moment> moments;
  files.SetHook([&](const FaultyFileSystem::Operation&) -> std::optional<FaultyFileSystem::Fault> {
    moments.push_back({disk.log_size(), (*trace)->row_count()});
    return std::nullopt;
  });
  int64_t rows = 0;
  for (const int64_t slice : {1, 1, 1, 30, 990, 2, 1, 1500, 3000, 1, 616, 1024, 9, 9, 5000, 3}) {
    AppendRows(**trace, rows, rows + slice);
    rows += slice;
    ASSERT_TRUE(Publish(**trace, rows).ok());
    moments.push_back({disk.log_size(), (*trace)->row_count()});
    EXPECT_EQ((*trace)->row_count(), rows);
    if (slice == 9) {
      ASSERT_TRUE((*trace)->Sync().ok());
    }
  }
  files.SetHook(nullptr);
  EXPECT_GT(moments.size(), 60U);
  for (size_t k = 0; k < moments.size(); ++k) {
    const std::vector<size_t> all = disk.Unsynced(moments[k].operations);
    CheckReopened(disk, moments[k], {all, std::nullopt});
    if (k + 1 == moments.size() || moments[k + 1].operations == moments[k].operations ||
        disk.Describe(moments[k].operations).rfind("write", 0) != 0) {
      continue;
    }
    // The write that came next, in part.
    const Moment during = {moments[k].operations + 1, moments[k].shown};
    const size_t unsynced = disk.Unsynced(during.operations).size();
    for (const CrashChoice& choice : disk.CrashChoices(during.operations, {0, 0, 1, true})) {
      if (choice.survivors.size() == unsynced && choice.tear &&
          choice.tear->rest == Tear::Rest::kUnwritten) {
        CheckReopened(disk, during, choice);
      }
    }
  }
}

}  // namespace
}  // namespace polyak::storage
