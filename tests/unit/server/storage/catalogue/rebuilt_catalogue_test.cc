#include "server/storage/catalogue/rebuilt_catalogue.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/storage/catalogue/connection.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/job_store_calls.h"
#include "tests/support/simulated_disk.h"

// A catalogue is replaced, and the power is cut behind every operation with every fate of what was
// not synced, and again while it is replaced once more. What a server would begin with afterwards
// must be every old job, or every new one, or nothing because it refuses to begin.

namespace polyak::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::CrashChoice;
using testing_support::CrashLimits;
using testing_support::FaultyFileSystem;
using testing_support::JobStoreCalls;
using testing_support::MakeJob;
using testing_support::SimulatedDisk;
using Mode = base::FileSystem::Mode;

constexpr char kDirectory[] = "/data";
constexpr char kFile[] = "/data/catalogue.db";
const testing_support::FakeClock kClock;

// What a server finds.
constexpr char kRefused[] = "refused";
constexpr char kDamaged[] = "damaged";
constexpr char kEmpty[] = "";
constexpr char kOld[] = "old1 old2";
constexpr char kNew[] = "new1 new2 new3";

SimulatedDisk EmptyDirectory() {
  SimulatedDisk disk;
  EXPECT_TRUE(disk.CreateDirectory(kDirectory).ok());
  EXPECT_TRUE(disk.SyncDirectory("/").ok());
  return disk;
}

absl::StatusOr<std::unique_ptr<SqliteJobStore>> OpenStore(
    base::FileSystem& files, const std::string& file_name = "catalogue.db") {
  SqliteJobStore::Options options;
  options.directory = kDirectory;
  options.file_name = file_name;
  return SqliteJobStore::Open(files, kClock, options);
}

absl::Status Insert(JobStore& store, const std::vector<std::string>& names) {
  absl::Status status;
  for (const std::string& name : names) {
    status.Update(JobStoreCalls(store).Insert(MakeJob(name)));
  }
  return status;
}

// The server that made old1 was stopped, the one that made old2 was killed: old2 is in the log
// alone, and the file without it is a catalogue as well.
SimulatedDisk OldCatalogue() {
  SimulatedDisk disk = EmptyDirectory();
  EXPECT_TRUE(Insert(*OpenStore(disk).value(), {"old1"}).ok());
  const auto store = OpenStore(disk).value();
  EXPECT_TRUE(Insert(*store, {"old2"}).ok());
  return disk.CrashAt(disk.log_size());
}

void Write(base::FileSystem& files, const std::string& path, const std::string& bytes) {
  const auto file = files.Open(path, Mode::kOverwrite).value();
  EXPECT_TRUE(file->Write(0, bytes).ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(files.SyncDirectory(kDirectory).ok());
}

SimulatedDisk DamagedCatalogue() {
  SimulatedDisk disk = EmptyDirectory();
  Write(disk, kFile, std::string(5000, 'x'));
  return disk;
}

// The jobs of a catalogue.
std::string JobsIn(base::FileSystem& files, const std::string& file_name = "catalogue.db") {
  const auto store = OpenStore(files, file_name);
  if (absl::IsDataLoss(store.status())) {
    return kDamaged;
  }
  if (!store.ok()) {
    return store.status().ToString();
  }
  const auto unfinished = (*store)->LoadUnfinished();
  if (!unfinished.ok()) {
    return unfinished.status().ToString();
  }
  std::vector<std::string> names;
  for (const StoredJob& stored : *unfinished) {
    names.push_back(stored.job->name());
  }
  return absl::StrJoin(names, " ");
}

// As a server looks.
std::string Found(base::FileSystem& files) {
  const absl::Status in_place = CheckCatalogueInPlace(files, kDirectory);
  if (absl::IsFailedPrecondition(in_place)) {
    EXPECT_FALSE(files.Exists(kFile).value());
    return kRefused;
  }
  return in_place.ok() ? JobsIn(files) : in_place.ToString();
}

absl::StatusOr<std::string> Replace(base::FileSystem& files) {
  auto store = OpenRebuilt(files, kClock, kDirectory);
  if (!store.ok()) {
    return store.status();
  }
  absl::Status status = Insert(**store, {"new1", "new2", "new3"});
  store->reset();
  return status.ok() ? ReplaceCatalogue(files, kDirectory) : status;
}

// A replacement that is begun where this disk was left comes to its end.
void ExpectEnds(base::FileSystem& files, const std::string& where) {
  const auto kept = Replace(files);
  ASSERT_TRUE(kept.ok()) << where << ": " << kept.status();
  EXPECT_EQ(Found(files), kNew) << where;
  EXPECT_FALSE(files.Exists(absl::StrCat(kFile, ".rebuilt")).value()) << where;
}

bool IsKept(base::FileSystem& files, const std::string& jobs) {
  for (int number = 1;; ++number) {
    const std::string name = absl::StrCat("catalogue.db.old-", number);
    const bool exists = files.Exists(absl::StrCat(kDirectory, "/", name)).value();
    if (exists && JobsIn(files, name) == jobs) {
      return true;
    }
    if (!exists && number > 2) {
      return false;
    }
  }
}

struct Beginning {
  const char* name;
  SimulatedDisk (*disk)();
  const char* found;
};

// The length of the log from which on a server can't find any more what it found before: the old
// file has lost its name durably; without one, the new catalogue has been begun.
size_t FirstWithoutOld(const SimulatedDisk& disk, size_t begin) {
  SimulatedDisk opened = disk.CrashAt(begin);
  EXPECT_TRUE(OpenRebuilt(opened, kClock, kDirectory).ok());
  for (size_t operation = begin; operation < disk.log_size(); ++operation) {
    if (disk.Describe(operation).starts_with("rename /data/catalogue.db ->")) {
      return operation + 2;  // with the sync of the directory
    }
  }
  return begin + opened.log_size();
}

class ReplaceCatalogueTest : public ::testing::TestWithParam<Beginning> {
 protected:
  // A server finds what it found before; or the new jobs, or it refuses, and then the old jobs are
  // where they are kept. Returns what it finds.
  static std::string ExpectNothingLost(SimulatedDisk& disk, const std::string& before,
                                       const std::string& where) {
    const std::string found = Found(disk);
    EXPECT_TRUE(found == before || found == kNew || found == kRefused)
        << where << ": found '" << found << "', before '" << before << "'";
    if (found != kOld && GetParam().found == std::string{kOld}) {
      EXPECT_TRUE(IsKept(disk, kOld)) << where;
    }
    return found;
  }
};

INSTANTIATE_TEST_SUITE_P(From, ReplaceCatalogueTest,
                         ::testing::Values(Beginning{"Nothing", EmptyDirectory, kEmpty},
                                           Beginning{"ACatalogueWithItsLog", OldCatalogue, kOld},
                                           Beginning{"ADamagedOne", DamagedCatalogue, kDamaged}),
                         [](const auto& beginning) { return beginning.param.name; });

TEST_P(ReplaceCatalogueTest, WhereverThePowerIsLostNothingIsAndItCanBeEnded) {
  SimulatedDisk disk = GetParam().disk();
  const size_t begin = disk.log_size();
  ASSERT_TRUE(Replace(disk).ok());
  const size_t end = disk.log_size();
  EXPECT_EQ(Found(disk), kNew);
  const size_t gone = FirstWithoutOld(disk, begin);
  // What is written is the new catalogue, which nobody reads before it has its name.
  constexpr CrashLimits kLimits = {.exhaustive_max = 2, .random_subsets = 0, .with_tears = false};
  constexpr int kEndStride = 20;
  constexpr int kRecoveryStride = 500;
  int count = 0;
  std::map<std::string, int> outcomes;
  for (size_t prefix = begin; prefix <= end && !HasFailure(); ++prefix) {
    for (const CrashChoice& choice : disk.CrashChoices(prefix, kLimits)) {
      const std::string where = disk.Describe(prefix, choice);
      SimulatedDisk once = disk.CrashAt(prefix, choice);
      const std::string found =
          ExpectNothingLost(once, prefix >= gone ? kRefused : GetParam().found, where);
      EXPECT_TRUE(prefix < end || found == kNew) << "was ended, and is not";
      const bool is_first = outcomes[found]++ == 0;
      ++count;
      if (!is_first && count % kEndStride != 0) {
        continue;
      }
      SimulatedDisk again = disk.CrashAt(prefix, choice);
      ExpectEnds(again, where);
      if (!is_first && count % kRecoveryStride != 0) {
        continue;
      }
      for (size_t second = 0; second <= again.log_size(); ++second) {
        // Nothing that was not synced survives, or all of it.
        for (const CrashChoice& fate : {CrashChoice{}, CrashChoice{again.Unsynced(second), {}}}) {
          SimulatedDisk twice = again.CrashAt(second, fate);
          ExpectNothingLost(twice, found,
                            absl::StrCat(where, "\nthen\n", again.Describe(second, fate)));
        }
      }
    }
  }
  EXPECT_EQ(outcomes.size(), 3u);  // the old one, the new one, and neither
  RecordProperty("crashes", count);
}

// Once a directory without a catalogue has the beginning of a new one, nothing but the new one
// makes a server begin there.
TEST(ReplaceCatalogue, ARebuiltCatalogueThatIsNotWholeKeepsServersFromBeginning) {
  SimulatedDisk disk = EmptyDirectory();
  const auto store = OpenRebuilt(disk, kClock, kDirectory);
  ASSERT_TRUE(store.ok()) << store.status();
  const absl::Status refused = CheckCatalogueInPlace(disk, kDirectory);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string{refused.message()}, HasSubstr("accepted: polyakd rebuild"));
  SimulatedDisk after = disk.CrashAt(disk.log_size());
  EXPECT_EQ(Found(after), kRefused);
}

TEST_P(ReplaceCatalogueTest, WhicheverCallFailsNothingIsLostAndItCanBeEnded) {
  using Call = FaultyFileSystem::Call;
  int64_t failures = 0;
  for (const Call call : {Call::kOpen, Call::kRead, Call::kWrite, Call::kSync, Call::kTruncate,
                          Call::kRename, Call::kRemove, Call::kSyncDirectory, Call::kList}) {
    for (int64_t nth = 1;; ++nth) {
      SimulatedDisk disk = GetParam().disk();
      FaultyFileSystem files(disk);
      const size_t rule = files.AddRule({.call = call, .path = {}, .nth = nth, .fault = {}});
      const auto kept = Replace(files);
      if (files.fired(rule) == 0) {
        break;
      }
      ++failures;
      const std::string where =
          absl::StrCat("call ", static_cast<int>(call), ", the ", nth, "th: ", kept.ok());
      SimulatedDisk cut = disk.CrashAt(disk.log_size());
      ExpectNothingLost(cut, GetParam().found, where);
      ExpectEnds(disk, where);
    }
  }
  EXPECT_GT(failures, 20);
}

TEST(ReplaceCatalogue, TheOldOneIsKeptWithItsLogUnderAFreeName) {
  SimulatedDisk disk = OldCatalogue();
  Write(disk, absl::StrCat(kFile, ".old-1-wal"), "somebody's log");
  EXPECT_EQ(Replace(disk).value(), "catalogue.db.old-2");
  EXPECT_EQ(JobsIn(disk, "catalogue.db.old-2"), kOld);
  EXPECT_EQ(Replace(disk).value(), "catalogue.db.old-3");
  EXPECT_EQ(JobsIn(disk, "catalogue.db.old-3"), kNew);
  EXPECT_EQ(Found(disk), kNew);
}

TEST(ReplaceCatalogue, WithoutACatalogueThereIsNothingToKeep) {
  SimulatedDisk disk = EmptyDirectory();
  EXPECT_EQ(Replace(disk).value(), "");
  EXPECT_THAT(disk.List(kDirectory).value(), ElementsAre("catalogue.db"));
}

// A log, or the journal of a first start that was cut off, without its file: SQLite would apply it
// to the new one.
TEST(ReplaceCatalogue, PartsOfTheOldOneAreNeverFoundBesideTheNewOne) {
  for (const char* const ending : {"-wal", "-journal"}) {
    SimulatedDisk disk = EmptyDirectory();
    Write(disk, absl::StrCat(kFile, ending), "a part");
    EXPECT_EQ(Replace(disk).value(), "catalogue.db.old-1");
    EXPECT_THAT(disk.List(kDirectory).value(),
                ElementsAre("catalogue.db", absl::StrCat("catalogue.db.old-1", ending)));
    EXPECT_EQ(Found(disk), kNew);
  }
}

TEST(ReplaceCatalogue, WithoutANewOneThatWasClosedNothingIsTouched) {
  SimulatedDisk disk = OldCatalogue();
  EXPECT_TRUE(absl::IsFailedPrecondition(ReplaceCatalogue(disk, kDirectory).status()));
  const auto open = OpenRebuilt(disk, kClock, kDirectory);
  ASSERT_TRUE(open.ok()) << open.status();
  ASSERT_TRUE(Insert(**open, {"new1"}).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(ReplaceCatalogue(disk, kDirectory).status()));
  EXPECT_EQ(Found(disk), kOld);
}

TEST(OpenRebuilt, WhatACutOffOneHasLeftIsForgotten) {
  SimulatedDisk disk = EmptyDirectory();
  {
    const auto store = OpenRebuilt(disk, kClock, kDirectory);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE(Insert(**store, {"halfway"}).ok());
    disk = disk.CrashAt(disk.log_size());  // with its log
  }
  const auto store = OpenRebuilt(disk, kClock, kDirectory);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT((*store)->LoadUids().value(), IsEmpty());
}

TEST(CheckReplaceable, OnlyWhatIsMissingOrDamagedIsNoLoss) {
  SimulatedDisk none = EmptyDirectory();
  EXPECT_TRUE(CheckReplaceable(none, kClock, kDirectory).ok());
  SimulatedDisk damaged = DamagedCatalogue();
  EXPECT_TRUE(CheckReplaceable(damaged, kClock, kDirectory).ok());
  SimulatedDisk readable = OldCatalogue();
  const absl::Status refused = CheckReplaceable(readable, kClock, kDirectory);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string{refused.message()}, HasSubstr("accepted: --replace"));
  EXPECT_EQ(Found(readable), kOld);
  // Of damage in what was not needed for that: the count of free pages, in the file's header.
  ASSERT_TRUE(Connection::Open(readable, kFile).ok());
  ASSERT_TRUE(readable.Open(kFile, base::FileSystem::Mode::kUpdate)
                  .value()
                  ->Write(36, std::string("\0\0\0\5", 4))
                  .ok());
  const absl::Status in_part = CheckReplaceable(readable, kClock, kDirectory);
  EXPECT_TRUE(absl::IsFailedPrecondition(in_part));
  EXPECT_THAT(std::string{in_part.message()}, HasSubstr("can be read, but is not in order ("));
  EXPECT_EQ(Found(readable), kOld);
  // Nobody knows whether it could be read.
  FaultyFileSystem failing(readable);
  failing.AddRule({.call = FaultyFileSystem::Call::kRead,
                   .path = {},
                   .times = FaultyFileSystem::kAlways,
                   .fault = {}});
  EXPECT_THAT(std::string{CheckReplaceable(failing, kClock, kDirectory).message()},
              HasSubstr("is not damaged (/data/catalogue.db: disk I/O error"));
}

}  // namespace
}  // namespace polyak::storage
