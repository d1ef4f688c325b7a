// A trace, its recovery and its repair, with an allocation that fails.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/base/posix_file_system.h"
#include "server/storage/file_trace.h"
#include "server/storage/trace_repair.h"
#include "tests/fault/allocations/sweep.h"
#include "tests/unit/server/storage/trace_fixture.h"

namespace polyak::storage {
namespace {

using testing_support::FailurePlan;
using testing_support::Scenario;
using testing_support::Steps;
using testing_support::SweepAllocations;

// So many rows from the start on, as they were written; DataLoss if they are not.
absl::Status CheckRows(const TraceReader& trace, int64_t rows) {
  if (trace.row_count() < rows) {
    return absl::DataLossError("rows that were shown are gone");
  }
  auto read = trace.Read(0, trace.row_count(), 1);
  if (!read.ok()) {
    return read.status();
  }
  return read->row_count() == trace.row_count() && FirstWrongRow(*read) < 0
             ? absl::OkStatus()
             : absl::DataLossError("a wrong row");
}

class TraceScenario : public Scenario {
 public:
  enum Step : size_t {
    kCreate,
    kFirstRows,
    kSync,
    kMoreRows,
    kRead,
    kSummarize,
    kDigest,
    kSyncMore,
    kReopen,
    kRewind,
    kLastRows,
    kSyncLast,
    kReadEnded,
  };
  static constexpr int64_t kFirst = 1000;
  static constexpr int64_t kMore = 3500;
  static constexpr int64_t kResumed = 3000;  // the row at which the second run begins
  static constexpr int64_t kLast = 4200;

  void Prepare(const std::string& folder) override { path_ = folder + "/u1.trace"; }

  void Run(Steps& steps) override {
    if (!steps.DoAgain(kCreate, [&] { return Create(); })) {
      return;
    }
    steps.DoAgain(kFirstRows, [&] { return PublishUpTo(kFirst); });
    steps.DoAgain(kSync, [&] { return trace_->Sync(); });
    steps.DoAgain(kMoreRows, [&] { return PublishUpTo(kMore); });
    steps.DoAgain(kRead, [&] { return CheckRows(*trace_, shown_); });
    steps.Do(kSummarize, [&] {
      const int64_t edges[] = {0, 100, 2000, 4000};
      return trace_->Summarize(0, edges).status();
    });
    steps.Do(kDigest, [&] { return trace_->Digest().status(); });
    steps.DoAgain(kSyncMore, [&] { return trace_->Sync(); });
    if (!steps.DoAgain(kReopen, [&] { return Reopen(); }) || trace_->row_count() < kResumed ||
        !steps.DoAgain(kRewind, [&] { return Rewind(); })) {
      return;
    }
    steps.DoAgain(kLastRows, [&] { return PublishUpTo(kLast); });
    steps.DoAgain(kSyncLast, [&] { return trace_->Sync(); });
    steps.DoAgain(kReadEnded, [&]() -> absl::Status {
      const auto ended = FileTrace::OpenToRead(files_, path_, kUid, trace_->row_count());
      return ended.ok() ? CheckRows(**ended, shown_) : ended.status();
    });
  }

  void CheckLive(Steps& steps) override {
    if (trace_ == nullptr) {
      return;
    }
    if (const absl::Status rows = CheckRows(*trace_, shown_); !rows.ok()) {
      steps.Complain(absl::StrCat("when there was memory again: ", rows.message()));
    }
  }

  void CheckReopened(const std::string& folder, const Steps& steps) override {
    path_ = folder + "/u1.trace";
    const auto opened = FileTrace::OpenToWrite(files_, path_, kUid, 0);
    if (!opened.ok() && absl::IsNotFound(opened.status())) {
      EXPECT_FALSE(steps.acknowledged(kCreate));
      return;
    }
    ASSERT_TRUE(opened.ok()) << opened.status();
    FileTrace& trace = **opened;
    const int64_t shown = steps.acknowledged(kLastRows)    ? kLast
                          : steps.acknowledged(kMoreRows)  ? kMore
                          : steps.acknowledged(kFirstRows) ? kFirst
                                                           : 0;
    EXPECT_TRUE(CheckRows(trace, shown).ok()) << CheckRows(trace, shown);
    EXPECT_TRUE(trace.damage().empty());
    // The run goes on, with the same rows.
    const int64_t resumed = std::max<int64_t>(trace.row_count() - 100, 0);
    ASSERT_TRUE(trace.Rewind(resumed).ok());
    AppendRows(trace, resumed, kLast + 100);
    ASSERT_TRUE(Publish(trace, kLast + 100).ok());
    EXPECT_TRUE(CheckRows(trace, kLast + 100).ok()) << CheckRows(trace, kLast + 100);
  }

 private:
  absl::Status Create() {
    auto created = FileTrace::Create(files_, path_, kUid, kColumns, std::string(3000, 'd'));
    // The first try may have made it.
    return Take(absl::IsAlreadyExists(created.status())
                    ? FileTrace::OpenToWrite(files_, path_, kUid, 0)
                    : std::move(created));
  }
  absl::Status Reopen() {
    trace_.reset();
    return Take(FileTrace::OpenToWrite(files_, path_, kUid, 0));
  }
  absl::Status Take(absl::StatusOr<std::unique_ptr<FileTrace>> opened) {
    if (!opened.ok()) {
      return opened.status();
    }
    trace_ = *std::move(opened);
    if (appended_ == 0 && trace_->row_count() == 0) {
      return trace_->Rewind(0);
    }
    return CheckRows(*trace_, shown_);
  }
  absl::Status Rewind() {
    const absl::Status rewound = trace_->Rewind(kResumed);
    appended_ = rewound.ok() ? kResumed : appended_;
    return rewound;
  }
  // A second try goes on where the first one failed.
  absl::Status PublishUpTo(int64_t rows) {
    if (appended_ < rows) {
      AppendRows(*trace_, appended_, rows);
      appended_ = rows;
    }
    const absl::Status published = Publish(*trace_, rows);
    shown_ = published.ok() ? rows : shown_;
    return published;
  }

  base::PosixFileSystem files_;
  std::string path_;
  std::unique_ptr<FileTrace> trace_;
  int64_t appended_ = 0;
  int64_t shown_ = 0;
};

// The repair of a trace whose block 1 is damaged.
class RepairScenario : public Scenario {
 public:
  enum Step : size_t { kOpen, kCommit };
  static constexpr int64_t kAllRows = 3 * kBlockRows + 10;

  void Prepare(const std::string& folder) override {
    path_ = folder + "/u1.trace";
    int64_t first_block = 0;
    {
      const auto trace = FileTrace::Create(files_, path_, kUid, kColumns, "d").value();
      AppendRows(*trace, 0, kAllRows);
      EXPECT_TRUE(Publish(*trace, kAllRows).ok());
      EXPECT_TRUE(trace->Sync().ok());
      first_block = LookAtRemains(files_, path_, kUid, kColumns)->first_block.value();
    }
    const BlockLayout layout = {kColumns};
    const auto file = files_.Open(path_, base::FileSystem::Mode::kUpdate).value();
    EXPECT_TRUE(
        file->Write(first_block + layout.block_bytes() + layout.column_offset(0) + 80, "damage")
            .ok());
  }

  void Run(Steps& steps) override {
    if (!steps.DoAgain(kOpen, [&] { return Open(); })) {
      return;
    }
    // A run that fails drops the repair; a later one begins anew.
    const auto repair = [&]() -> absl::Status {
      if (repair_ == nullptr) {
        if (absl::Status opened = Open(); !opened.ok()) {
          return opened;
        }
      }
      const std::unique_ptr<TraceRepair> at_hand = std::move(repair_);
      Trace& trace = at_hand->trace();
      absl::Status status = trace.Rewind(0);
      for (int64_t row = 0; row < kAllRows && status.ok(); row += 700) {
        const int64_t end = std::min(row + 700, kAllRows);
        AppendRows(trace, row, end);
        status = Publish(trace, end);
      }
      if (status.ok()) {
        status = trace.Sync();
      }
      return status.ok() ? at_hand->Commit() : status;
    };
    steps.DoAgain(kCommit, repair);
  }

  void CheckReopened(const std::string& folder, const Steps& steps) override {
    const auto trace = FileTrace::OpenToRead(files_, folder + "/u1.trace", kUid, kAllRows).value();
    const absl::Status rows = CheckRows(*trace, kAllRows);
    if (!rows.ok()) {
      EXPECT_FALSE(steps.acknowledged(kCommit)) << rows;
      // As it was: the damage is told, and no wrong row is.
      EXPECT_EQ(rows.message().substr(0, 17), "rows 1024 to 2047");
      EXPECT_EQ(FirstWrongRow(trace->Read(0, kBlockRows, 1).value()), -1);
      EXPECT_EQ(FirstWrongRow(trace->Read(2 * kBlockRows, kBlockRows, 1).value()), -1);
    }
  }

 private:
  absl::Status Open() {
    const auto remains = LookAtRemains(files_, path_, kUid, kColumns);
    if (!remains.ok()) {
      return remains.status();
    }
    auto opened =
        FileTraceRepair::Open(files_, path_, kUid, kColumns, *remains, "e", kAllRows, Attempt());
    if (!opened.ok()) {
      return opened.status();
    }
    repair_ = *std::move(opened);
    return absl::OkStatus();
  }

  base::PosixFileSystem files_;
  std::string path_;
  std::unique_ptr<TraceRepair> repair_;
};

TEST(AllocationFailures, LoseNoRowOfATraceThatWasShown) {
  testing_support::SkipUnderSanitizers();
  SweepAllocations(
      "trace", [] { return std::make_unique<TraceScenario>(); }, FailurePlan::Whose::kProcess);
}

TEST(AllocationFailures, LeaveADamagedTraceAsItWasOrRepaired) {
  testing_support::SkipUnderSanitizers();
  SweepAllocations(
      "repair", [] { return std::make_unique<RepairScenario>(); }, FailurePlan::Whose::kProcess);
}

}  // namespace
}  // namespace polyak::storage
