// A disk that fails at its n-th call, for every n, and one that is full.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "server/storage/file_trace.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::FaultyFileSystem;
using testing_support::SimulatedDisk;
using Call = FaultyFileSystem::Call;

constexpr int64_t kSlices[] = {1, 1, 1022, 3, 2000, 40, 2053, 5000, 900};
constexpr int64_t kAllRows = 11'020;

FaultyFileSystem::Rule FailWrites(int64_t nth, int64_t times, int64_t short_count) {
  FaultyFileSystem::Rule rule = {Call::kWrite, "", nth, times, {}};
  rule.fault.status = absl::ResourceExhaustedError("full");
  rule.fault.short_count = short_count;
  return rule;
}

class TraceFault : public ::testing::Test {
 protected:
  void Start() {
    disk_ = std::make_unique<SimulatedDisk>();
    MakeDirectories(*disk_);
    files_ = std::make_unique<FaultyFileSystem>(*disk_);
    auto trace = FileTrace::Create(*files_, kPath, kUid, kColumns, "");
    ASSERT_TRUE(trace.ok());
    trace_ = *std::move(trace);
  }
  void CheckAll(int64_t rows) {
    EXPECT_EQ(trace_->row_count(), rows);
    EXPECT_TRUE(IsPrefix(*trace_));
    ASSERT_TRUE(trace_->Sync().ok());
    SimulatedDisk later = disk_->CrashAt(disk_->log_size());
    const auto found = FileTrace::OpenToWrite(later, kPath, kUid, 0).value();
    EXPECT_EQ(found->row_count(), rows);
    EXPECT_TRUE(IsPrefix(*found));
  }

  std::unique_ptr<SimulatedDisk> disk_;
  std::unique_ptr<FaultyFileSystem> files_;
  std::unique_ptr<FileTrace> trace_;
};

TEST_F(TraceFault, AWriteThatFailsLosesNothingAndShowsNothing) {
  int64_t nth = 1;
  for (bool fired = true; fired; ++nth) {
    for (const int64_t short_count : {0, 3, 700, 20'000}) {
      Start();
      const size_t rule = files_->AddRule(FailWrites(nth, 1, short_count));
      int64_t rows = 0;
      for (const int64_t slice : kSlices) {
        AppendRows(*trace_, rows, rows + slice);
        const int64_t shown = trace_->row_count();
        absl::Status status = Publish(*trace_, rows + slice);
        if (!status.ok()) {
          EXPECT_TRUE(absl::IsResourceExhausted(status));
          EXPECT_EQ(trace_->row_count(), shown);
          EXPECT_TRUE(IsPrefix(*trace_));
          // Later, and in one half of the cases after more rows.
          if (nth % 2 == 0) {
            AppendRows(*trace_, rows + slice, rows + slice + 5);
            rows += 5;
          }
          status = Publish(*trace_, rows + slice);
        }
        ASSERT_TRUE(status.ok()) << status;
        rows += slice;
        EXPECT_EQ(trace_->row_count(), rows);
      }
      fired = files_->fired(rule) > 0;
      CheckAll(rows);
      ASSERT_FALSE(HasFailure()) << "write " << nth << ", " << short_count << " bytes";
    }
  }
  EXPECT_GT(nth, 30);
}

TEST_F(TraceFault, AFullDiskPausesAndTheSameRunGoesOnWhenThereIsRoom) {
  for (const int64_t free : {0, 100, 9000, 30'000, 100'000, 150'000}) {
    Start();
    files_->SetFreeBytes(free);
    int64_t rows = 0;
    int64_t refused = 0;
    for (const int64_t slice : kSlices) {
      AppendRows(*trace_, rows, rows + slice);
      rows += slice;
      refused += Publish(*trace_, rows).ok() ? 0 : 1;
      EXPECT_TRUE(IsPrefix(*trace_));
    }
    EXPECT_GT(refused, 0);
    files_->SetFreeBytes(std::nullopt);
    ASSERT_TRUE(Publish(*trace_, rows).ok());
    CheckAll(kAllRows);
  }
}

// What a kill leaves of a run that was refused in between.
TEST_F(TraceFault, AKillAfterAFailedWriteLosesNothingThatWasShown) {
  for (int64_t nth = 1; nth <= 40; ++nth) {
    Start();
    files_->AddRule(FailWrites(nth, 2, 300));
    int64_t rows = 0;
    for (const int64_t slice : kSlices) {
      AppendRows(*trace_, rows, rows + slice);
      rows += slice;
      const absl::Status status = Publish(*trace_, rows);
      SimulatedDisk later =
          disk_->CrashAt(disk_->log_size(), {disk_->Unsynced(disk_->log_size()), std::nullopt});
      const auto found = FileTrace::OpenToWrite(later, kPath, kUid, 0).value();
      EXPECT_GE(found->row_count(), trace_->row_count()) << status;
      EXPECT_TRUE(IsPrefix(*found));
    }
    ASSERT_FALSE(HasFailure()) << nth;
  }
}

TEST_F(TraceFault, AFailedSyncIsNeverTriedAgain) {
  for (const auto cached : {SimulatedDisk::Cached::kKept, SimulatedDisk::Cached::kDropped}) {
    for (size_t failing = 0; failing < std::size(kSlices); ++failing) {
      Start();
      int64_t rows = 0;
      int64_t synced = 0;
      for (size_t k = 0; k <= failing; ++k) {
        AppendRows(*trace_, rows, rows + kSlices[k]);
        rows += kSlices[k];
        ASSERT_TRUE(Publish(*trace_, rows).ok());
        if (k == failing) {
          files_->SetHook([&](const FaultyFileSystem::Operation& operation)
                              -> std::optional<FaultyFileSystem::Fault> {
            if (operation.call != Call::kSync) {
              return std::nullopt;
            }
            disk_->FailSync(kPath, cached);
            FaultyFileSystem::Fault fault;
            fault.status = absl::UnavailableError("input/output error");
            return fault;
          });
          EXPECT_TRUE(absl::IsUnavailable(trace_->Sync()));
          files_->SetHook(nullptr);
        } else if (k % 2 == 0) {
          ASSERT_TRUE(trace_->Sync().ok());
          synced = rows;
        }
      }
      EXPECT_EQ(trace_->synced_rows(), synced);
      const int64_t syncs = files_->calls(Call::kSync);
      EXPECT_TRUE(absl::IsUnavailable(trace_->Sync()));
      EXPECT_TRUE(absl::IsUnavailable(trace_->Publish(99)));
      EXPECT_TRUE(absl::IsUnavailable(trace_->Read(0, 1, 1).status()));
      EXPECT_EQ(files_->calls(Call::kSync), syncs);

      // Opened anew: what it then says to be durable is durable.
      trace_ = FileTrace::OpenToWrite(*files_, kPath, kUid, synced).value();
      EXPECT_GE(trace_->row_count(), synced);
      EXPECT_TRUE(IsPrefix(*trace_));
      SimulatedDisk later = disk_->CrashAt(disk_->log_size());
      const auto found = FileTrace::OpenToWrite(later, kPath, kUid, synced).value();
      EXPECT_EQ(found->row_count(), trace_->synced_rows());
      EXPECT_TRUE(IsPrefix(*found));
      EXPECT_TRUE(found->damage().empty());

      const int64_t from = trace_->row_count();
      ASSERT_TRUE(trace_->Rewind(from).ok());
      AppendRows(*trace_, from, kAllRows);
      ASSERT_TRUE(Publish(*trace_, kAllRows).ok());
      CheckAll(kAllRows);
      ASSERT_FALSE(HasFailure()) << failing;
    }
  }
}

TEST_F(TraceFault, AReadThatFailsIsAnErrorAndNoDamage) {
  Start();
  AppendRows(*trace_, 0, kAllRows);
  ASSERT_TRUE(Publish(*trace_, kAllRows).ok());
  files_->AddRule({Call::kRead, "", 1, 1, {}});
  EXPECT_TRUE(absl::IsUnavailable(trace_->Read(0, 10, 1).status()));
  EXPECT_TRUE(IsPrefix(*trace_));
}

TEST_F(TraceFault, AnyFailureWhileOpeningIsAnErrorAndTheNextTrySucceeds) {
  Start();
  AppendRows(*trace_, 0, kAllRows);
  ASSERT_TRUE(Publish(*trace_, kAllRows).ok());
  for (const Call call : {Call::kOpen, Call::kRead, Call::kWrite, Call::kSync, Call::kSize}) {
    int64_t nth = 1;
    for (bool fired = true; fired; ++nth) {
      SimulatedDisk disk =
          disk_->CrashAt(disk_->log_size(), {disk_->Unsynced(disk_->log_size()), std::nullopt});
      FaultyFileSystem files(disk);
      const size_t rule = files.AddRule({call, "", nth, 1, {}});
      const auto trace = FileTrace::OpenToWrite(files, kPath, kUid, 0);
      fired = files.fired(rule) > 0;
      EXPECT_EQ(trace.ok(), !fired);
      files.ClearRules();
      const auto again = FileTrace::OpenToWrite(files, kPath, kUid, 0);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ((*again)->row_count(), kAllRows);
      EXPECT_TRUE(IsPrefix(**again));
    }
  }
}

}  // namespace
}  // namespace polyak::storage
