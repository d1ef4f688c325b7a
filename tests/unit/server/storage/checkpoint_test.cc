#include "server/storage/checkpoint.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/faulty_file_system.h"
#include "tests/unit/server/storage/checkpoint_support.h"

namespace polyak::storage {
namespace {

using ::polyak::testing_support::CrashChoice;
using ::polyak::testing_support::CrashLimits;
using ::polyak::testing_support::FaultyFileSystem;
using ::polyak::testing_support::SimulatedDisk;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Call = FaultyFileSystem::Call;
using Action = FaultyFileSystem::Fault::Action;

const std::string kPrevious = std::string(kPath) + ".previous";
const std::string kNew = std::string(kPath) + ".new";

// -1 if there is none; -2 if what opens is not what was written.
int64_t Recovered(base::FileSystem& files, size_t size = 700) {
  const auto iteration = OpenAndCompare(files, kAnyIteration, size);
  const bool none = absl::IsNotFound(iteration.status()) || absl::IsDataLoss(iteration.status());
  return iteration.ok() ? *iteration : none ? -1 : -2;
}

TEST(Checkpoint, GivesBackWhatWasWrittenLast) {
  SimulatedDisk disk = DiskWithJobs();
  for (const int64_t iteration : {0, 10, 20, 30}) {
    ASSERT_TRUE(WriteAt(disk, iteration).ok());
    EXPECT_EQ(Recovered(disk), iteration);
  }
  EXPECT_THAT(*disk.List("/jobs"), ElementsAre("u1.checkpoint", "u1.checkpoint.previous"));
}

TEST(Checkpoint, GivesTheNewestAtOrBelowTheIterationAskedFor) {
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  ASSERT_TRUE(WriteAt(disk, 20).ok());
  EXPECT_EQ(*OpenAndCompare(disk, 20), 20);
  EXPECT_EQ(*OpenAndCompare(disk, 19), 10);
  EXPECT_EQ(*OpenAndCompare(disk, 10), 10);
  EXPECT_TRUE(absl::IsNotFound(OpenAndCompare(disk, 9).status()));
}

TEST(Checkpoint, IsNotFoundWhereNothingWasWritten) {
  SimulatedDisk disk = DiskWithJobs();
  EXPECT_TRUE(absl::IsNotFound(OpenAndCompare(disk).status()));
}

TEST(Checkpoint, HoldsStatesOfAnySize) {
  for (const size_t size : {0U, 1U, 262143U, 262144U, 262145U, 1000003U}) {
    SimulatedDisk disk = DiskWithJobs();
    ASSERT_TRUE(WriteAt(disk, 10, size).ok());
    EXPECT_EQ(*OpenAndCompare(disk, kAnyIteration, size), 10) << size;
  }
}

TEST(Checkpoint, RemoveLeavesNothingAndIsDoneTwiceWithoutHarm) {
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  ASSERT_TRUE(WriteAt(disk, 20).ok());
  Replace(disk, kNew, "half of one");
  EXPECT_TRUE(RemoveCheckpoints(disk, kPath).ok());
  EXPECT_THAT(*disk.List("/jobs"), IsEmpty());
  EXPECT_TRUE(RemoveCheckpoints(disk, kPath).ok());
}

TEST(Checkpoint, RemoveTakesAwayWhatItCanAndSaysWhatItCanNot) {
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  ASSERT_TRUE(WriteAt(disk, 20).ok());
  FaultyFileSystem files(disk);
  files.AddRule({Call::kRemove, "", 1, 1, {}});
  EXPECT_TRUE(absl::IsUnavailable(RemoveCheckpoints(files, kPath)));
  EXPECT_THAT(*disk.List("/jobs"), ElementsAre("u1.checkpoint"));
}

// ------------------------------------------------------------------------------------------------
// Damage

TEST(Checkpoint, EachByteFlippedZeroedOrCutThereIsSeenAndThePreviousOneServed) {
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10, 100).ok());
  ASSERT_TRUE(WriteAt(disk, 20, 100).ok());
  const std::string whole = Contents(disk, kPath);
  for (size_t place = 0; place <= whole.size(); ++place) {
    std::vector<std::string> versions = {whole.substr(0, place)};
    if (place < whole.size()) {
      for (int bit = 0; bit < 8; ++bit) {
        versions.push_back(whole);
        versions.back()[place] = static_cast<char>(whole[place] ^ (1 << bit));
      }
      versions.push_back(whole);
      versions.back()[place] = 0;
      versions.push_back(whole.substr(0, place) + std::string(whole.size() - place, '\0'));
    } else {
      versions.push_back(whole + '\0');
    }
    for (const std::string& version : versions) {
      Replace(disk, kPath, version);
      ASSERT_EQ(*OpenAndCompare(disk, kAnyIteration, 100), version == whole ? 20 : 10) << place;
      ASSERT_THAT(OpenCheckpoint(disk, kPath, "u1", kAnyIteration)->damages,
                  SizeIs(version == whole ? 0 : 1));
      ASSERT_EQ(OpenCheckpoint(disk, kPath, "u1", kAnyIteration)->passed_over.code(),
                version == whole ? absl::StatusCode::kOk : absl::StatusCode::kDataLoss);
    }
  }
}

TEST(Checkpoint, SaysWhatIsWrongWithEachDamagedOne) {
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  std::string bytes = Contents(disk, kPath);
  const auto message = [&](const std::string& changed) {
    Replace(disk, kPath, changed);
    const absl::Status status = OpenAndCompare(disk).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    return std::string{status.message()};
  };
  EXPECT_THAT(message(""), HasSubstr("/jobs/u1.checkpoint: the bytes end too early"));
  EXPECT_THAT(message(bytes + "x"), HasSubstr("the file is"));
  std::string changed = bytes;
  changed.back() = static_cast<char>(changed.back() ^ 1);
  EXPECT_THAT(message(changed), HasSubstr("the payload's CRC is wrong"));
  changed = bytes;
  changed[8] = 2;
  EXPECT_THAT(message(changed), HasSubstr("the version is 2; accepted: 1"));
}

TEST(Checkpoint, ThatWasNeverFinishedIsMissingAndNotDamaged) {
  const std::string half = [] {
    SimulatedDisk disk = DiskWithJobs();
    POLYAK_CHECK(WriteAt(disk, 20).ok());
    std::string bytes = Contents(disk, kPath);
    return bytes.substr(0, bytes.size() - 1);
  }();
  // Cut before its header, and with it.
  for (const std::string& torn : {std::string(700, '\0'), half}) {
    SimulatedDisk disk = DiskWithJobs();
    Replace(disk, kNew, torn);
    EXPECT_TRUE(absl::IsNotFound(OpenAndCompare(disk).status()));
    // On a full disk it does not become the current one, whose damage would be one.
    FaultyFileSystem files(disk);
    files.SetFreeBytes(0);
    EXPECT_FALSE(WriteAt(files, 10).ok());
    EXPECT_TRUE(absl::IsNotFound(OpenAndCompare(disk).status()));
    ASSERT_TRUE(WriteAt(disk, 10).ok());
    Replace(disk, kNew, torn);
    const auto opened = OpenCheckpoint(disk, kPath, "u1", kAnyIteration);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->head.iteration, 10);
    EXPECT_TRUE(opened->passed_over.ok()) << opened->passed_over;
    EXPECT_THAT(opened->damages, SizeIs(1));
    // Between the renames it has been whole, and what is wrong with it came later.
    ASSERT_TRUE(disk.Rename(kPath, kPrevious).ok());
    EXPECT_TRUE(absl::IsDataLoss(OpenCheckpoint(disk, kPath, "u1", kAnyIteration)->passed_over));
  }
}

TEST(Checkpoint, OfAnotherJobIsNotServed) {
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  const absl::Status status = OpenCheckpoint(disk, kPath, "u2", kAnyIteration).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string{status.message()}, HasSubstr("it is of the job u1"));
}

TEST(Checkpoint, OfHeadersThatClaimAnythingIsRefusedWithoutTheMemoryTheyAskFor) {
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10, 50).ok());
  const std::string whole = Contents(disk, kPath);
  for (size_t number = 0; number + 8 <= whole.size(); number += 8) {
    for (const int64_t value : {int64_t{-1}, int64_t{1} << 62, int64_t{1} << 31, int64_t{4095}}) {
      std::string changed = whole;
      changed.replace(number, 8, reinterpret_cast<const char*>(&value), 8);
      Replace(disk, kPath, changed);
      EXPECT_TRUE(absl::IsDataLoss(OpenAndCompare(disk).status()));
    }
  }
}

TEST(Checkpoint, ThatCantBeServedStillSaysWhoWroteIt) {
  SimulatedDisk disk = DiskWithJobs();
  EXPECT_TRUE(absl::IsNotFound(ReadCheckpointHead(disk, kPath, "u1").status()));
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  std::string bytes = Contents(disk, kPath);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  Replace(disk, kPath, bytes);
  ASSERT_TRUE(absl::IsDataLoss(OpenAndCompare(disk).status()));
  const auto head = ReadCheckpointHead(disk, kPath, "u1");
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->iteration, 10);
  EXPECT_EQ(head->build, "a build");
  EXPECT_EQ(head->processor, "a processor");
  EXPECT_TRUE(absl::IsNotFound(ReadCheckpointHead(disk, kPath, "u2").status()));
  {
    FaultyFileSystem files(disk);
    files.AddRule({Call::kRead, "", 1, FaultyFileSystem::kAlways, {}});
    EXPECT_TRUE(absl::IsUnavailable(ReadCheckpointHead(files, kPath, "u1").status()));
  }
  bytes[40] = static_cast<char>(bytes[40] ^ 1);  // in the header
  Replace(disk, kPath, bytes);
  EXPECT_TRUE(absl::IsNotFound(ReadCheckpointHead(disk, kPath, "u1").status()));
}

TEST(Checkpoint, ThatCanNotBeReadIsNoProofThatThereIsNone) {
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  FaultyFileSystem files(disk);
  files.AddRule({Call::kRead, "", 1, FaultyFileSystem::kAlways, {}});
  EXPECT_TRUE(absl::IsUnavailable(OpenAndCompare(files).status()));
  // With another one to go on from, that one does.
  ASSERT_TRUE(WriteAt(disk, 20).ok());
  files.ClearRules();
  files.AddRule({Call::kRead, "u1.checkpoint", 1, 1, {}});
  EXPECT_EQ(*OpenAndCompare(files), 10);
}

// ------------------------------------------------------------------------------------------------
// Calls that fail

// Writes 10 and 20, then 30 on files that fail once, then 40 on sound ones.
void ExpectTheOlderOnesSurvive(Call call, int64_t nth, Action action) {
  SCOPED_TRACE(absl::StrCat("call ", static_cast<int>(call), ", number ", nth));
  SimulatedDisk disk = DiskWithJobs();
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  ASSERT_TRUE(WriteAt(disk, 20).ok());
  FaultyFileSystem files(disk);
  const size_t rule =
      files.AddRule({call, "", nth, 1, {action, absl::UnavailableError("planted")}});
  const absl::Status status = WriteAt(files, 30);
  if (files.fired(rule) == 0) {
    return;
  }
  EXPECT_FALSE(status.ok());
  EXPECT_LE(files.calls(Call::kSync), 1);  // never again on a file whose Sync failed
  const int64_t left = Recovered(disk);
  EXPECT_TRUE(left == 20 || left == 30) << left;
  for (const CrashChoice& choice : disk.CrashChoices(disk.log_size())) {
    SimulatedDisk crashed = disk.CrashAt(disk.log_size(), choice);
    const int64_t recovered = Recovered(crashed);
    EXPECT_TRUE(recovered == 20 || recovered == 30) << recovered;
  }
  EXPECT_TRUE(WriteAt(files, 40).ok());
  EXPECT_EQ(Recovered(disk), 40);
}

TEST(Checkpoint, AnyCallThatFailsLeavesTheOlderOnes) {
  for (const Call call : {Call::kExists, Call::kOpen, Call::kWrite, Call::kSync, Call::kRename,
                          Call::kSyncDirectory}) {
    for (int64_t nth = 1; nth <= 4; ++nth) {
      for (const Action action : {Action::kFail, Action::kExecuteThenFail}) {
        ExpectTheOlderOnesSurvive(call, nth, action);
      }
    }
  }
}

TEST(Checkpoint, OnAFullDiskLeavesTheOlderOnesAndTakesUpNoRoom) {
  for (const int64_t room : {0, 1, 200, 701, 800}) {
    SimulatedDisk disk = DiskWithJobs();
    FaultyFileSystem files(disk);
    ASSERT_TRUE(WriteAt(files, 10).ok());
    files.SetFreeBytes(room);
    EXPECT_TRUE(absl::IsResourceExhausted(WriteAt(files, 20))) << room;
    EXPECT_EQ(*files.FreeBytes("/"), room);
    EXPECT_EQ(Recovered(disk), 10);
    files.SetFreeBytes(std::nullopt);
    EXPECT_TRUE(WriteAt(files, 20).ok());
    EXPECT_EQ(Recovered(disk), 20);
  }
}

// ------------------------------------------------------------------------------------------------
// Losses of power

// Plants a bug: calls for which it says so, told their number among those of their kind within one
// checkpoint, are answered without being done.
using Swallow = std::function<bool(Call, int64_t)>;

// For as long as `files` is used.
class SwallowingCalls {
 public:
  SwallowingCalls(FaultyFileSystem& files, const Swallow& swallow) {
    files.SetHook([this, swallow](const FaultyFileSystem::Operation& operation) {
      std::optional<FaultyFileSystem::Fault> fault;
      if (swallow != nullptr &&
          swallow(operation.call, ++calls_[static_cast<size_t>(operation.call)])) {
        fault = FaultyFileSystem::Fault{.action = Action::kSwallow};
      }
      return fault;
    });
  }
  void StartAgain() { calls_ = {}; }

 private:
  std::array<int64_t, FaultyFileSystem::kCallKinds> calls_ = {};
};

// What a loss of power left behind, told as a sentence for each that is worse than promised.
class PowerLoss {
 public:
  explicit PowerLoss(Swallow swallow = nullptr, size_t size = 700)
      : swallow_(std::move(swallow)), size_(size) {}

  // Some checkpoints on a new disk, and a crash at every point.
  std::vector<std::string> WhileWriting() {
    SimulatedDisk disk = DiskWithJobs();
    if (size_ > 1000) {
      Run(disk, {10, 20}, -1);
    } else {
      Run(disk, {10, 20, 30, 40, 50}, -1);
    }
    return std::move(findings_);
  }
  // The current checkpoint is damaged; the one before it is all there is until the next one.
  std::vector<std::string> WhileTheCurrentOneIsDamaged() {
    SimulatedDisk disk = DiskWithJobs();
    POLYAK_CHECK(WriteAt(disk, 10, size_).ok() && WriteAt(disk, 20, size_).ok());
    Replace(disk, kPath, Contents(disk, kPath) + "damage");
    Run(disk, {30, 40}, 10);
    return std::move(findings_);
  }
  int64_t crashes() const { return crashes_; }

 private:
  void Run(SimulatedDisk& disk, const std::vector<int64_t>& iterations, int64_t acknowledged) {
    FaultyFileSystem files(disk);
    SwallowingCalls counted(files, swallow_);
    std::vector<std::pair<size_t, int64_t>> promises = {{disk.log_size(), acknowledged}};
    const size_t first = disk.log_size();
    for (const int64_t iteration : iterations) {
      counted.StartAgain();
      POLYAK_CHECK(WriteAt(files, iteration, size_).ok());
      promises.emplace_back(disk.log_size(), iteration);
    }
    CrashLimits limits;
    limits.with_tears = size_ <= 1000;
    for (size_t prefix = first; prefix <= disk.log_size(); ++prefix) {
      int64_t promised = -1;
      for (const auto& [size, iteration] : promises) {
        promised = size <= prefix ? iteration : promised;
      }
      for (const CrashChoice& choice : disk.CrashChoices(prefix, limits)) {
        SimulatedDisk crashed = disk.CrashAt(prefix, choice);
        Check(crashed, promised, disk.Describe(prefix, choice));
      }
    }
  }

  void Check(SimulatedDisk& crashed, int64_t promised, const std::string& how) {
    ++crashes_;
    const int64_t recovered = Recovered(crashed, size_);
    if (recovered < promised) {
      findings_.push_back(absl::StrCat(recovered == -2 ? "damage was served"
                                       : recovered < 0 ? "everything was lost"
                                                       : "an acknowledged one was lost",
                                       ": ", recovered, " after ", promised, "; ", how));
    }
    // The recovered server writes on, and its power is cut once more.
    if (swallow_ != nullptr || size_ > 1000) {
      return;
    }
    POLYAK_CHECK(WriteAt(crashed, 60, size_).ok());
    const size_t end = crashed.log_size();
    for (size_t prefix = 0; prefix <= end; ++prefix) {
      for (const CrashChoice& choice : crashed.CrashChoices(prefix, {6, 8, 1, true})) {
        SimulatedDisk again = crashed.CrashAt(prefix, choice);
        const int64_t left = Recovered(again, size_);
        ++crashes_;
        if (left < (prefix == end ? 60 : promised)) {
          findings_.push_back(absl::StrCat("lost by the second crash: ", left, " after ", promised,
                                           "; ", how, "; ", crashed.Describe(prefix, choice)));
        }
      }
    }
  }

  const Swallow swallow_;
  const size_t size_;  // of each state
  std::vector<std::string> findings_;
  int64_t crashes_ = 0;
};

TEST(CheckpointAfterPowerLoss, IsTheLastAcknowledgedOneOrANewerWholeOne) {
  PowerLoss power;
  EXPECT_THAT(power.WhileWriting(), IsEmpty());
  EXPECT_GT(power.crashes(), 3000);
}

TEST(CheckpointAfterPowerLoss, IsWholeThoughItsStateTakesSeveralWritesThatSurviveInAnyOrder) {
  EXPECT_THAT(PowerLoss(nullptr, 270000).WhileWriting(), IsEmpty());
}

TEST(CheckpointAfterPowerLoss, IsAWholeOneThoughTheCurrentOneWasDamaged) {
  EXPECT_THAT(PowerLoss().WhileTheCurrentOneIsDamaged(), IsEmpty());
}

// A checkpoint of iteration 10 between the two renames is all there is; the next one is written,
// and the power is cut. The least that is found.
int64_t LeastAfterAnInterruptedRename(const Swallow& swallow) {
  SimulatedDisk disk = DiskWithJobs();
  POLYAK_CHECK(WriteAt(disk, 10).ok());
  POLYAK_CHECK(disk.Rename(kPath, kNew).ok());
  POLYAK_CHECK(disk.SyncDirectory("/jobs").ok());
  POLYAK_CHECK(Recovered(disk) == 10);
  const size_t first = disk.log_size();
  FaultyFileSystem files(disk);
  SwallowingCalls counted(files, swallow);
  POLYAK_CHECK(WriteAt(files, 20).ok());
  int64_t least = 20;
  for (size_t prefix = first; prefix <= disk.log_size(); ++prefix) {
    for (const CrashChoice& choice : disk.CrashChoices(prefix)) {
      SimulatedDisk crashed = disk.CrashAt(prefix, choice);
      least = std::min(least, Recovered(crashed));
    }
  }
  return least;
}

TEST(CheckpointAfterPowerLoss, TheOneBetweenTheTwoRenamesIsPutInItsPlaceBeforeTheNextIsWritten) {
  EXPECT_EQ(LeastAfterAnInterruptedRename(nullptr), 10);
}

TEST(CheckpointAfterPowerLoss, OfATornFirstOneIsNothingInTheWayOfTheNext) {
  SimulatedDisk disk = DiskWithJobs();
  Replace(disk, kNew, "torn");
  EXPECT_EQ(Recovered(disk), -1);
  ASSERT_TRUE(WriteAt(disk, 10).ok());
  ASSERT_TRUE(WriteAt(disk, 20).ok());
  EXPECT_EQ(*OpenAndCompare(disk, 19), 10);
}

// Tests of the tests: bugs planted, each found by what it does.

TEST(CheckpointAfterPowerLoss, WouldBeLostIfTheRenameCameBeforeTheSyncOfTheFile) {
  const auto bug = [](Call call, int64_t) { return call == Call::kSync; };
  EXPECT_THAT(PowerLoss(bug).WhileWriting(), Contains(HasSubstr("acknowledged one was lost")));
}

TEST(CheckpointAfterPowerLoss, WouldBeLostWithoutAnySyncOfTheDirectory) {
  const auto bug = [](Call call, int64_t) { return call == Call::kSyncDirectory; };
  EXPECT_THAT(PowerLoss(bug).WhileWriting(), Contains(HasSubstr("acknowledged one was lost")));
}

TEST(CheckpointAfterPowerLoss, WouldBeLostWithoutTheSyncOfTheDirectoryAfterTheRenames) {
  const auto bug = [](Call call, int64_t nth) { return call == Call::kSyncDirectory && nth == 2; };
  EXPECT_THAT(PowerLoss(bug).WhileWriting(), Contains(HasSubstr("acknowledged one was lost")));
}

TEST(CheckpointAfterPowerLoss, WouldBeLostWithoutTheSyncOfTheDirectoryBeforeTheRenames) {
  // Only where the current one was damaged, which the first rename puts in the other's place.
  const auto bug = [](Call call, int64_t nth) { return call == Call::kSyncDirectory && nth == 1; };
  EXPECT_THAT(PowerLoss(bug).WhileTheCurrentOneIsDamaged(),
              Contains(HasSubstr("everything was lost")));
}

TEST(CheckpointAfterPowerLoss, WouldBeLostIfTheInterruptedRenameWereFinishedWithoutASync) {
  const auto bug = [](Call call, int64_t nth) { return call == Call::kSyncDirectory && nth == 1; };
  EXPECT_LT(LeastAfterAnInterruptedRename(bug), 10);
}

TEST(CheckpointAfterPowerLoss, WouldBeLostIfTheInterruptedRenameWereNotFinished) {
  const auto bug = [](Call call, int64_t nth) { return call == Call::kRename && nth == 1; };
  EXPECT_LT(LeastAfterAnInterruptedRename(bug), 10);
}

}  // namespace
}  // namespace polyak::storage
